// The layout: bands from top to bottom in order of their first span, the lanes of each band, and the spans of each layout row.
//
// A layout row is a lane, in which no two spans overlap, so its starts and its ends are both sorted. A band with many lanes is
// folded into one layout row, a strip, in which spans do overlap. Heights are fixed, in CSS pixels; zooming affects time only.

import { packLanes } from './packing.mjs'

/**
 * @typedef {import('./wire.mjs').Numbers} Numbers
 * @typedef {import('./trace.mjs').Trace} Trace
 * @typedef {import('./trace.mjs').KeyColumn} KeyColumn
 * @typedef {{code: number, name: string, nLanes: number, top: number, height: number, firstRow: number, nRows: number,
 *   folded: boolean}} Band
 * @typedef {{column: KeyColumn, lane: Uint32Array, nLanes: Uint32Array, order: number[]}} Packing
 * @typedef {{bands: Band[], rowTop: Float64Array, rowBand: Uint32Array, firstRow: Uint32Array, height: number}} LayoutRows
 * @typedef {{order: Uint32Array, first: Uint32Array, start: Float64Array, end: Float64Array}} PlacedSpans the shown spans,
 *   row by row: `order` is the row of each in the trace, `first` the index at which each layout row begins; times are axis times
 */

export const LANE_HEIGHT = 18
export const BAR_HEIGHT = 14
export const STRIP_HEIGHT = 44
export const BAND_GAP = 8
export const MAX_UNFOLDED_LANES = 24 // a band of more lanes is folded until the user unfolds it

/**
 * Packs the spans of a trace into bands and lanes.
 * @param {Trace} trace
 * @param {KeyColumn} column its values are the bands
 * @returns {Packing}
 */
export function packingOf(trace, column) {
  const { lane, nLanes } = packLanes(column.codes, trace.start, trace.end, column.names.length)
  return { column, lane, nLanes, order: codesByFirstSpan(column) }
}

/**
 * Codes in the order of their first span; the spans of a trace are sorted by start.
 * @param {KeyColumn} column
 */
function codesByFirstSpan({ codes, names }) {
  const seen = new Uint8Array(names.length)
  const order = []
  for (let row = 0; row < codes.length && order.length < names.length; row++) {
    if (!seen[codes[row]]) order.push(codes[row])
    seen[codes[row]] = 1
  }
  return order
}

/**
 * The rows of all bands, from top to bottom.
 * @param {Packing} packing
 * @param {Map<number, boolean>} folding bands that the user folded or unfolded, by code
 * @returns {LayoutRows}
 */
export function layoutRowsOf({ column, nLanes, order }, folding) {
  const bands = []
  const firstRow = new Uint32Array(column.names.length)
  const rowTop = []
  const rowBand = []
  let top = BAND_GAP / 2
  for (const code of order) {
    const folded = nLanes[code] > 1 && (folding.get(code) ?? nLanes[code] > MAX_UNFOLDED_LANES)
    const nRows = folded ? 1 : nLanes[code]
    const height = folded ? STRIP_HEIGHT : nRows * LANE_HEIGHT
    firstRow[code] = rowTop.length
    bands.push({ code, name: column.names[code], nLanes: nLanes[code], top, height, firstRow: firstRow[code], nRows, folded })
    for (let row = 0; row < nRows; row++) {
      rowTop.push(top + row * LANE_HEIGHT)
      rowBand.push(bands.length - 1)
    }
    top += height + BAND_GAP
  }
  const height = top - BAND_GAP / 2
  return { bands, rowTop: Float64Array.from(rowTop), rowBand: Uint32Array.from(rowBand), firstRow, height }
}

/**
 * The spans of the shown agents, row by row, by a counting sort.
 * @param {Trace} trace
 * @param {{start: Float64Array, end: Float64Array}} spanAxisTimes of all spans of the trace
 * @param {Packing} packing
 * @param {LayoutRows} layoutRows
 * @param {Uint8Array} shown whether each agent is
 * @returns {PlacedSpans}
 */
export function placedSpans(trace, spanAxisTimes, { column, lane }, { bands, rowTop, firstRow }, shown) {
  const agent = trace.agent.codes
  const isLane = new Uint8Array(column.names.length)
  for (const { code, folded } of bands) isLane[code] = folded ? 0 : 1
  const layoutRowOf = (/** @type {number} */ row) => firstRow[column.codes[row]] + isLane[column.codes[row]] * lane[row]
  const first = new Uint32Array(rowTop.length + 1)
  for (let row = 0; row < trace.n; row++) first[layoutRowOf(row) + 1] += shown[agent[row]]
  for (let layoutRow = 0; layoutRow < rowTop.length; layoutRow++) first[layoutRow + 1] += first[layoutRow]
  const count = first[rowTop.length]
  const next = first.slice()
  const order = new Uint32Array(count)
  const start = new Float64Array(count)
  const end = new Float64Array(count)
  for (let row = 0; row < trace.n; row++) {
    if (!shown[agent[row]]) continue
    const position = next[layoutRowOf(row)]++
    order[position] = row
    start[position] = spanAxisTimes.start[row]
    end[position] = spanAxisTimes.end[row]
  }
  return { order, first, start, end }
}
