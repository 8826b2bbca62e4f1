// Search in sorted arrays: by halving, and by galloping from where one stands (J. L. Bentley, A. C.-C. Yao, "An almost optimal
// algorithm for unbounded searching", 1976), which takes few steps where the answer is near.

/** @typedef {import('./wire.mjs').Numbers} Numbers */

/**
 * The first position in [from, to) whose value is at least `least`, else `to`.
 * @param {Numbers} values ascending
 * @param {number} from
 * @param {number} to
 * @param {number} least
 */
export function firstAtLeast(values, from, to, least) {
  while (from < to) {
    const middle = (from + to) >>> 1
    if (values[middle] < least) from = middle + 1
    else to = middle
  }
  return from
}

/**
 * The same, by steps of growing length from the start of the stretch.
 * @param {Numbers} values ascending
 * @param {number} from
 * @param {number} to
 * @param {number} least
 */
export function gallop(values, from, to, least) {
  let step = 1
  let low = from
  while (low < to && values[low] < least) {
    from = low + 1
    low += step
    step *= 2
  }
  return firstAtLeast(values, from, Math.min(low, to), least)
}
