// Hit test: which spans are under a point or in a box.

import { BAR_HEIGHT } from '../model/layout.mjs'
import { firstAtLeast } from '../model/search.mjs'

/**
 * @typedef {import('../model/layout.mjs').Rows} Rows
 * @typedef {import('../model/layout.mjs').PlacedSpans} PlacedSpans
 * @typedef {import('../model/layout.mjs').Band} Band
 */

const SNAP_DISTANCE = 4 // pixels beside a span that still hit it

/**
 * The row at a vertical position, or -1 between bands.
 * @param {Rows} rows
 * @param {number} y from the top of all rows
 */
export function rowAt({ rowTop, rowBand, bands }, y) {
  const row = firstAtLeast(rowTop, 0, rowTop.length, y + 1e-9) - 1
  if (row < 0) return -1
  const { folded, height } = bands[rowBand[row]]
  return y <= rowTop[row] + (folded ? height : BAR_HEIGHT + 2) ? row : -1
}

/**
 * The positions of the spans in a lane that share the pixel at an axis time, else of the nearest span within `SNAP_DISTANCE`.
 * @param {PlacedSpans} placed
 * @param {number} row of the layout; a lane
 * @param {number} axisTime
 * @param {number} scale pixels per µs
 * @returns {{from: number, to: number} | null}
 */
export function spansAt({ start, end, first }, row, axisTime, scale) {
  const [from, to] = [first[row], first[row + 1]]
  const half = 0.5 / scale
  const firstHit = firstAtLeast(end, from, to, axisTime - half)
  const afterHits = firstAtLeast(start, firstHit, to, axisTime + half)
  if (afterHits > firstHit) return { from: firstHit, to: afterHits }
  const neighbours = [firstHit - 1, firstHit].filter((position) => position >= from && position < to)
  const distance = (/** @type {number} */ position) => Math.max(start[position] - axisTime, axisTime - end[position], 0) * scale
  neighbours.sort((one, other) => distance(one) - distance(other))
  return neighbours.length && distance(neighbours[0]) <= SNAP_DISTANCE ? { from: neighbours[0], to: neighbours[0] + 1 } : null
}

/**
 * The spans of the trace that a box touches, ascending.
 * @param {Rows} rows
 * @param {PlacedSpans} placed
 * @param {{from: number, to: number, top: number, bottom: number}} box axis times, and vertical positions from the top of all rows
 */
export function spansIn({ rowTop, rowBand, bands }, { start, end, first, order }, { from, to, top, bottom }) {
  const found = []
  for (let row = 0; row < rowTop.length; row++) {
    const { folded, height } = bands[rowBand[row]]
    if (rowTop[row] > bottom || rowTop[row] + (folded ? height : BAR_HEIGHT) < top) continue
    const last = first[row + 1]
    for (let position = folded ? first[row] : firstAtLeast(end, first[row], last, from); position < last; position++) {
      if (start[position] > to) break
      if (end[position] >= from) found.push(order[position])
    }
  }
  return Uint32Array.from(found).sort()
}
