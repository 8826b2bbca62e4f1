// Search in sorted arrays: binary search, and galloping search from a start position (J. L. Bentley, A. C.-C. Yao, "An almost
// optimal algorithm for unbounded searching", 1976), which takes few steps if the result is near.

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
 * The same result, by galloping search from `from`.
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
