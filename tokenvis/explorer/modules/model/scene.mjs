// The scene: all that a frame shows, worked out once for many frames.

import { placed } from './layout.mjs'
import { STATUS } from './trace.mjs'

/**
 * @typedef {import('./wire.mjs').Numbers} Numbers
 * @typedef {import('./trace.mjs').Trace} Trace
 * @typedef {import('./trace.mjs').Facts} Facts
 * @typedef {import('./trace.mjs').KeyColumn} KeyColumn
 * @typedef {import('./layout.mjs').Rows} Rows
 * @typedef {import('./layout.mjs').Packed} Packed
 * @typedef {import('./layout.mjs').Placed} Placed
 * @typedef {import('./timemap.mjs').TimeMap} TimeMap
 * @typedef {{errors: Uint32Array, open: Uint32Array, instants: Uint32Array}} Marks positions
 * @typedef {{flags: Uint8Array, positions: Uint32Array}} Lit
 * @typedef {{trace: Trace, map: TimeMap, packing: Packed, rows: Rows, placed: Placed, hue: KeyColumn, tint: Numbers, ends:
 *   Map<number, Float64Array>, marks: Marks, lit: Lit | null, shown: Uint8Array, places: {start:
 *   Float64Array, end: Float64Array}}} Scene `tint` is the colour of each position, `ends` are the
 *   sorted ends of each strip, `lit` are the positions that stand out, where some do
 */

/**
 * @param {{trace: Trace, map: TimeMap, places: {start: Float64Array, end: Float64Array}, packing: Packed, rows: Rows, hue: KeyColumn,
 *   shown: Uint8Array, facts: Facts | null}} parts
 * @returns {Scene}
 */
export function sceneOf({ trace, map, places, packing, rows, hue, shown, facts }) {
  const spans = placed(trace, places, packing, rows, shown)
  const ends = new Map(rows.bands.filter(({ folded }) => folded).map(({ firstRow }) => {
    return [firstRow, spans.end.slice(spans.first[firstRow], spans.first[firstRow + 1]).sort()]
  }))
  const scene = { trace, map, packing, rows, placed: spans, hue, tint: tintOf(spans, hue), ends, lit: null, shown, places }
  return { ...scene, marks: marksIn(spans, facts) }
}

/** @param {Placed} placed @param {KeyColumn} hue */
export function tintOf({ order }, { codes }) {
  const tint = new Uint32Array(order.length)
  for (let position = 0; position < order.length; position++) tint[position] = codes[order[position]]
  return tint
}

/** @param {Placed} placed @param {Facts | null} facts @returns {Marks} */
export function marksIn({ order, start, end }, facts) {
  const [errors, open, instants] = [/** @type {number[]} */ ([]), /** @type {number[]} */ ([]), /** @type {number[]} */ ([])]
  const [error, still] = [STATUS.indexOf('error'), STATUS.indexOf('open')]
  for (let position = 0; position < order.length; position++) {
    if (start[position] === end[position]) instants.push(position)
    const status = facts?.status?.[order[position]]
    if (status === error) errors.push(position)
    else if (status === still) open.push(position)
  }
  return { errors: Uint32Array.from(errors), open: Uint32Array.from(open), instants: Uint32Array.from(instants) }
}

/**
 * The positions that stand out, of those that are shown.
 * @param {Scene} scene
 * @param {Uint32Array} rows of the trace
 * @returns {Lit | null}
 */
export function litOf({ trace, placed: { order } }, rows) {
  if (!rows.length) return null
  const wanted = new Uint8Array(trace.n)
  for (const row of rows) wanted[row] = 1
  const flags = new Uint8Array(order.length)
  const positions = []
  for (let position = 0; position < order.length; position++) {
    flags[position] = wanted[order[position]]
    if (flags[position]) positions.push(position)
  }
  return { flags, positions: Uint32Array.from(positions) }
}

/**
 * The row of the layout in which a span of the trace stands.
 * @param {Scene} scene
 * @param {number} row
 */
export function rowOf({ packing: { column, lane }, rows: { bands, firstRow, rowBand } }, row) {
  const first = firstRow[column.codes[row]]
  return bands[rowBand[first]].folded ? first : first + lane[row]
}
