// The time map: from microseconds (offsets from its origin) to places on the axis, where long gaps are folded, and back.
//
// Piecewise linear through knots; beyond the first and the last one, one for one. A span never reaches into a folded gap.

import { firstAtLeast } from './search.mjs'

/** @typedef {{offsets: Float64Array, places: Float64Array}} TimeMap */

/**
 * @param {number[]} offsets
 * @param {number[]} places
 * @returns {TimeMap}
 */
export function timeMap(offsets, places) {
  return { offsets: Float64Array.from(offsets), places: Float64Array.from(places) }
}

/**
 * The map without folds.
 * @param {TimeMap} map
 * @returns {TimeMap}
 */
export function unfolded({ offsets }) {
  const ends = Float64Array.of(offsets[0], offsets[offsets.length - 1])
  return { offsets: ends, places: ends }
}

/** @param {TimeMap} map */
export const isFolded = (map) => map.offsets.length > 2

/** @param {TimeMap} map @param {number} offset */
export const toPlace = (map, offset) => through(offset, map.offsets, map.places)

/** @param {TimeMap} map @param {number} place */
export const toOffset = (map, place) => through(place, map.places, map.offsets)

/**
 * @param {number} value
 * @param {Float64Array} knots
 * @param {Float64Array} images
 */
function through(value, knots, images) {
  const last = knots.length - 1
  if (value <= knots[0]) return images[0] + (value - knots[0])
  if (value >= knots[last]) return images[last] + (value - knots[last])
  const right = firstAtLeast(knots, 1, last, value)
  const share = (value - knots[right - 1]) / (knots[right] - knots[right - 1])
  return images[right - 1] + share * (images[right] - images[right - 1])
}

/**
 * Places of many ascending offsets.
 * @param {TimeMap} map
 * @param {Float64Array} offsets
 */
export function placesOf(map, offsets) {
  if (!isFolded(map)) return offsets
  return offsets.map((offset) => toPlace(map, offset))
}

/**
 * A window that shows nothing but what there is, as far as it may be so short.
 * @param {ArrayLike<number>} places of a map
 * @param {number} from
 * @param {number} to
 * @param {number} shortest
 */
export function heldTo(places, from, to, shortest) {
  const [first, last] = [places[0], places[places.length - 1]]
  const width = Math.min(Math.max(to - from, shortest), Math.max(last - first, shortest))
  const middle = (from + to) / 2
  if (last - first <= width) return { from: (first + last - width) / 2, to: (first + last + width) / 2 }
  const begin = Math.min(Math.max(middle - width / 2, first), last - width)
  return { from: begin, to: begin + width }
}

/**
 * The folded gaps: places, and how long each lasts.
 * @param {TimeMap} map
 */
export function foldsOf({ offsets, places }) {
  const folds = []
  for (let knot = 1; knot + 1 < offsets.length; knot += 2) {
    folds.push({ from: places[knot], to: places[knot + 1], lasts: offsets[knot + 1] - offsets[knot] })
  }
  return folds
}
