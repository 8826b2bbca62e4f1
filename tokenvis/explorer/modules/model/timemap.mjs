// The time map: from offsets in µs since its origin to axis times, in which long gaps are folded, and back.
//
// Piecewise linear between knots, with slope 1 beyond the first and the last one. No span extends into a folded gap.

import { firstAtLeast } from './search.mjs'

/** @typedef {{offsets: Float64Array, axisTimes: Float64Array}} TimeMap */

/**
 * @param {number[]} offsets
 * @param {number[]} axisTimes
 * @returns {TimeMap}
 */
export function timeMap(offsets, axisTimes) {
  return { offsets: Float64Array.from(offsets), axisTimes: Float64Array.from(axisTimes) }
}

/**
 * The same map without folds.
 * @param {TimeMap} map
 * @returns {TimeMap}
 */
export function unfolded({ offsets }) {
  const ends = Float64Array.of(offsets[0], offsets[offsets.length - 1])
  return { offsets: ends, axisTimes: ends }
}

/** @param {TimeMap} map */
export const isFolded = (map) => map.offsets.length > 2

/** @param {TimeMap} map @param {number} offset */
export const toAxisTime = (map, offset) => interpolate(offset, map.offsets, map.axisTimes)

/** @param {TimeMap} map @param {number} axisTime */
export const toOffset = (map, axisTime) => interpolate(axisTime, map.axisTimes, map.offsets)

/**
 * @param {number} value
 * @param {Float64Array} knots
 * @param {Float64Array} images
 */
function interpolate(value, knots, images) {
  const last = knots.length - 1
  if (value <= knots[0]) return images[0] + (value - knots[0])
  if (value >= knots[last]) return images[last] + (value - knots[last])
  const right = firstAtLeast(knots, 1, last, value)
  const share = (value - knots[right - 1]) / (knots[right] - knots[right - 1])
  return images[right - 1] + share * (images[right] - images[right - 1])
}

/**
 * The axis times of ascending offsets.
 * @param {TimeMap} map
 * @param {Float64Array} offsets
 */
export function axisTimesOf(map, offsets) {
  if (!isFolded(map)) return offsets
  return offsets.map((offset) => toAxisTime(map, offset))
}

/**
 * A window clamped to the trace, and not shorter than `shortest`.
 * @param {ArrayLike<number>} axisTimes the knots of a map
 * @param {number} from
 * @param {number} to
 * @param {number} shortest
 */
export function clampedWindow(axisTimes, from, to, shortest) {
  const [first, last] = [axisTimes[0], axisTimes[axisTimes.length - 1]]
  const width = Math.min(Math.max(to - from, shortest), Math.max(last - first, shortest))
  const middle = (from + to) / 2
  if (last - first <= width) return { from: (first + last - width) / 2, to: (first + last + width) / 2 }
  const begin = Math.min(Math.max(middle - width / 2, first), last - width)
  return { from: begin, to: begin + width }
}

/**
 * The folded gaps: axis times, and the duration of each.
 * @param {TimeMap} map
 */
export function foldsOf({ offsets, axisTimes }) {
  const folds = []
  for (let knot = 1; knot + 1 < offsets.length; knot += 2) {
    folds.push({ from: axisTimes[knot], to: axisTimes[knot + 1], lengthUs: offsets[knot + 1] - offsets[knot] })
  }
  return folds
}
