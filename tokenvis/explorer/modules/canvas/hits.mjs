// Hit test: which spans are under a point or in a box.

import { BAR_HEIGHT } from '../model/layout.mjs'
import { firstAtLeast } from '../model/search.mjs'

/**
 * @typedef {import('../model/layout.mjs').LayoutRows} LayoutRows
 * @typedef {import('../model/layout.mjs').PlacedSpans} PlacedSpans
 * @typedef {import('../model/layout.mjs').Band} Band
 */

const SNAP_DISTANCE = 4 // pixels beside a span that still hit it

/**
 * The row at a vertical position, or -1 between bands.
 * @param {LayoutRows} layoutRows
 * @param {number} y from the top of all rows
 */
export function layoutRowAt({ rowTop, rowBand, bands }, y) {
  const layoutRow = firstAtLeast(rowTop, 0, rowTop.length, y + 1e-9) - 1
  if (layoutRow < 0) return -1
  const { folded, height } = bands[rowBand[layoutRow]]
  return y <= rowTop[layoutRow] + (folded ? height : BAR_HEIGHT + 2) ? layoutRow : -1
}

/**
 * The positions of the spans in a lane that share the pixel at an axis time, else of the nearest span within `SNAP_DISTANCE`.
 * @param {PlacedSpans} placed
 * @param {number} layoutRow a lane
 * @param {number} axisTime
 * @param {number} scale pixels per µs
 * @returns {{from: number, to: number} | null}
 */
export function spansAt({ start, end, first }, layoutRow, axisTime, scale) {
  const [from, to] = [first[layoutRow], first[layoutRow + 1]]
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
 * @param {LayoutRows} layoutRows
 * @param {PlacedSpans} placed
 * @param {{from: number, to: number, top: number, bottom: number}} box axis times, and vertical positions from the top of all rows
 */
export function spansIn({ rowTop, rowBand, bands }, { start, end, first, order }, { from, to, top, bottom }) {
  const rows = []
  for (let layoutRow = 0; layoutRow < rowTop.length; layoutRow++) {
    const { folded, height } = bands[rowBand[layoutRow]]
    if (rowTop[layoutRow] > bottom || rowTop[layoutRow] + (folded ? height : BAR_HEIGHT) < top) continue
    const last = first[layoutRow + 1]
    for (let position = folded ? first[layoutRow] : firstAtLeast(end, first[layoutRow], last, from); position < last; position++) {
      if (start[position] > to) break
      if (end[position] >= from) rows.push(order[position])
    }
  }
  return Uint32Array.from(rows).sort()
}
