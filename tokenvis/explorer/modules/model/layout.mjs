// The layout: bands from the top down in order of their first span, in each its lanes, and the spans of each row side by side.
//
// A row is a lane, in which no two spans overlap, so its starts and its ends are both sorted. A band with many lanes is folded
// into one row, a strip, whose spans do overlap. Heights are fixed, in CSS pixels; zooming changes times alone.

import { packLanes } from './packing.mjs'

/**
 * @typedef {import('./wire.mjs').Numbers} Numbers
 * @typedef {import('./trace.mjs').Trace} Trace
 * @typedef {import('./trace.mjs').KeyColumn} KeyColumn
 * @typedef {{code: number, name: string, depth: number, top: number, height: number, firstRow: number, nRows: number,
 *   folded: boolean}} Band
 * @typedef {{column: KeyColumn, lane: Uint32Array, depth: Uint32Array, order: number[]}} Packed
 * @typedef {{bands: Band[], rowTop: Float64Array, rowBand: Uint32Array, firstRow: Uint32Array, height: number}} Rows
 * @typedef {{order: Uint32Array, first: Uint32Array, start: Float64Array, end: Float64Array}} Placed the spans that are shown, row
 *   after row: `order` is the row of the trace of each, `first` where each row of the layout begins; times are places on the axis
 */

export const LANE = 18
export const BAR = 14
export const STRIP = 44
export const BAND_GAP = 8
export const DEEP = 24 // lanes beyond which a band is folded, until somebody unfolds it

/**
 * The spans of a trace in the lanes of bands.
 * @param {Trace} trace
 * @param {KeyColumn} column whose values make the bands
 * @returns {Packed}
 */
export function packed(trace, column) {
  const { lane, depth } = packLanes(column.codes, trace.start, trace.end, column.names.length)
  return { column, lane, depth, order: byFirst(column) }
}

/**
 * Codes in the order in which they appear; the spans of a trace are in order of their starts.
 * @param {KeyColumn} column
 */
function byFirst({ codes, names }) {
  const seen = new Uint8Array(names.length)
  const order = []
  for (let row = 0; row < codes.length && order.length < names.length; row++) {
    if (!seen[codes[row]]) order.push(codes[row])
    seen[codes[row]] = 1
  }
  return order
}

/**
 * The rows of all bands, one below the other.
 * @param {Packed} packing
 * @param {Map<number, boolean>} folding bands that somebody folded or unfolded, by code
 * @returns {Rows}
 */
export function rowsOf({ column, depth, order }, folding) {
  const bands = []
  const firstRow = new Uint32Array(column.names.length)
  const rowTop = []
  const rowBand = []
  let top = BAND_GAP / 2
  for (const code of order) {
    const folded = depth[code] > 1 && (folding.get(code) ?? depth[code] > DEEP)
    const nRows = folded ? 1 : depth[code]
    const height = folded ? STRIP : nRows * LANE
    firstRow[code] = rowTop.length
    bands.push({ code, name: column.names[code], depth: depth[code], top, height, firstRow: firstRow[code], nRows, folded })
    for (let row = 0; row < nRows; row++) {
      rowTop.push(top + row * LANE)
      rowBand.push(bands.length - 1)
    }
    top += height + BAND_GAP
  }
  const height = top - BAND_GAP / 2
  return { bands, rowTop: Float64Array.from(rowTop), rowBand: Uint32Array.from(rowBand), firstRow, height }
}

/**
 * The spans of the agents that are shown, row after row, by counting.
 * @param {Trace} trace
 * @param {{start: Float64Array, end: Float64Array}} places of all spans of the trace
 * @param {Packed} packing
 * @param {Rows} rows
 * @param {Uint8Array} shown whether each agent is
 * @returns {Placed}
 */
export function placed(trace, places, { column, lane }, { bands, rowTop, firstRow }, shown) {
  const agent = trace.agent.codes
  const isLane = new Uint8Array(column.names.length)
  for (const { code, folded } of bands) isLane[code] = folded ? 0 : 1
  const rowOf = (/** @type {number} */ row) => firstRow[column.codes[row]] + isLane[column.codes[row]] * lane[row]
  const first = new Uint32Array(rowTop.length + 1)
  for (let row = 0; row < trace.n; row++) first[rowOf(row) + 1] += shown[agent[row]]
  for (let row = 0; row < rowTop.length; row++) first[row + 1] += first[row]
  const count = first[rowTop.length]
  const next = first.slice()
  const order = new Uint32Array(count)
  const start = new Float64Array(count)
  const end = new Float64Array(count)
  for (let row = 0; row < trace.n; row++) {
    if (!shown[agent[row]]) continue
    const position = next[rowOf(row)]++
    order[position] = row
    start[position] = places.start[row]
    end[position] = places.end[row]
  }
  return { order, first, start, end }
}
