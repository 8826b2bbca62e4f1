// Hits: which spans stand under a point, in a box, or next to another.

import { firstAtLeast } from '../model/search.mjs'
import { BAR } from '../model/layout.mjs'

/**
 * @typedef {import('../model/layout.mjs').Rows} Rows
 * @typedef {import('../model/layout.mjs').Placed} Placed
 * @typedef {import('../model/layout.mjs').Band} Band
 */

const NEAR = 4 // pixels beside a span that still mean it

/**
 * The row at a height, or -1 between bands.
 * @param {Rows} rows
 * @param {number} y from the top of all rows
 */
export function rowAt({ rowTop, rowBand, bands }, y) {
  const row = firstAtLeast(rowTop, 0, rowTop.length, y + 1e-9) - 1
  if (row < 0) return -1
  const { folded, height } = bands[rowBand[row]]
  return y <= rowTop[row] + (folded ? height : BAR + 2) ? row : -1
}

/**
 * The positions in a lane of the spans that share the pixel at a place, else the one nearest to it.
 * @param {Placed} placed
 * @param {number} row of the layout, a lane
 * @param {number} place
 * @param {number} scale pixels a µs
 * @returns {{from: number, to: number} | null}
 */
export function spansAt({ start, end, first }, row, place, scale) {
  const [from, to] = [first[row], first[row + 1]]
  const half = 0.5 / scale
  const begins = firstAtLeast(end, from, to, place - half)
  const after = firstAtLeast(start, begins, to, place + half)
  if (after > begins) return { from: begins, to: after }
  const near = [begins - 1, begins].filter((position) => position >= from && position < to)
  const distance = (/** @type {number} */ position) => Math.max(start[position] - place, place - end[position], 0) * scale
  near.sort((one, other) => distance(one) - distance(other))
  return near.length && distance(near[0]) <= NEAR ? { from: near[0], to: near[0] + 1 } : null
}

/**
 * The spans of the trace that a box touches, ascending.
 * @param {Rows} rows
 * @param {Placed} placed
 * @param {{from: number, to: number, top: number, bottom: number}} box places, and heights from the top of all rows
 */
export function spansIn({ rowTop, rowBand, bands }, { start, end, first, order }, { from, to, top, bottom }) {
  const found = []
  for (let row = 0; row < rowTop.length; row++) {
    const { folded, height } = bands[rowBand[row]]
    if (rowTop[row] > bottom || rowTop[row] + (folded ? height : BAR) < top) continue
    const last = first[row + 1]
    for (let position = folded ? first[row] : firstAtLeast(end, first[row], last, from); position < last; position++) {
      if (start[position] > to) break
      if (end[position] >= from) found.push(order[position])
    }
  }
  return Uint32Array.from(found).sort()
}
