// The scene: everything that a frame draws, computed once for many frames.

import { placedSpans } from './layout.mjs'
import { STATUS_BY_CODE } from './trace.mjs'

/**
 * @typedef {import('./wire.mjs').Numbers} Numbers
 * @typedef {import('./trace.mjs').Trace} Trace
 * @typedef {import('./trace.mjs').Facts} Facts
 * @typedef {import('./trace.mjs').KeyColumn} KeyColumn
 * @typedef {import('./layout.mjs').LayoutRows} LayoutRows
 * @typedef {import('./layout.mjs').Packing} Packing
 * @typedef {import('./layout.mjs').PlacedSpans} PlacedSpans
 * @typedef {import('./timemap.mjs').TimeMap} TimeMap
 * @typedef {{errors: Uint32Array, open: Uint32Array, instants: Uint32Array}} Marks positions
 * @typedef {{flags: Uint8Array, positions: Uint32Array}} Highlight
 * @typedef {{trace: Trace, map: TimeMap, packing: Packing, layoutRows: LayoutRows, placed: PlacedSpans, hueColumn: KeyColumn,
 *   colorIndex: Numbers, ends: Map<number, Float64Array>, marks: Marks, highlight: Highlight | null, shown: Uint8Array,
 *   spanAxisTimes: {start: Float64Array, end: Float64Array}}} Scene `colorIndex` is the colour of each position, `ends` the sorted ends of
 *   each strip, `highlight` the highlighted positions, if any
 */

/**
 * @param {{trace: Trace, map: TimeMap, spanAxisTimes: {start: Float64Array, end: Float64Array}, packing: Packing,
 *   layoutRows: LayoutRows, hueColumn: KeyColumn, shown: Uint8Array, facts: Facts | null}} parts
 * @returns {Scene}
 */
export function sceneOf({ trace, map, spanAxisTimes, packing, layoutRows, hueColumn, shown, facts }) {
  const spans = placedSpans(trace, spanAxisTimes, packing, layoutRows, shown)
  const ends = new Map(layoutRows.bands.filter(({ folded }) => folded).map(({ firstRow }) => {
    return [firstRow, spans.end.slice(spans.first[firstRow], spans.first[firstRow + 1]).sort()]
  }))
  const scene = {
    trace, map, spanAxisTimes, packing, layoutRows, placed: spans, hueColumn, colorIndex: colorIndexOf(spans, hueColumn), ends,
    highlight: null, shown,
  }
  return { ...scene, marks: marksIn(spans, facts) }
}

/** @param {PlacedSpans} placed @param {KeyColumn} hueColumn */
export function colorIndexOf({ order }, { codes }) {
  const colorIndex = new Uint32Array(order.length)
  for (let position = 0; position < order.length; position++) colorIndex[position] = codes[order[position]]
  return colorIndex
}

/** @param {PlacedSpans} placed @param {Facts | null} facts @returns {Marks} */
export function marksIn({ order, start, end }, facts) {
  const [errors, open, instants] = [/** @type {number[]} */ ([]), /** @type {number[]} */ ([]), /** @type {number[]} */ ([])]
  const [errorStatus, openStatus] = [STATUS_BY_CODE.indexOf('error'), STATUS_BY_CODE.indexOf('open')]
  for (let position = 0; position < order.length; position++) {
    if (start[position] === end[position]) instants.push(position)
    const status = facts?.status?.[order[position]]
    if (status === errorStatus) errors.push(position)
    else if (status === openStatus) open.push(position)
  }
  return { errors: Uint32Array.from(errors), open: Uint32Array.from(open), instants: Uint32Array.from(instants) }
}

/**
 * The positions of the shown spans to highlight; null if there are none.
 * @param {Scene} scene
 * @param {Uint32Array} rows of the trace
 * @returns {Highlight | null}
 */
export function highlightOf({ trace, placed: { order } }, rows) {
  if (!rows.length) return null
  const isHighlighted = new Uint8Array(trace.n)
  for (const row of rows) isHighlighted[row] = 1
  const flags = new Uint8Array(order.length)
  const positions = []
  for (let position = 0; position < order.length; position++) {
    flags[position] = isHighlighted[order[position]]
    if (flags[position]) positions.push(position)
  }
  return { flags, positions: Uint32Array.from(positions) }
}

/**
 * The layout row of a span of the trace.
 * @param {Scene} scene
 * @param {number} row
 */
export function layoutRowOf({ packing: { column, lane }, layoutRows: { bands, firstRow, rowBand } }, row) {
  const first = firstRow[column.codes[row]]
  return bands[rowBand[first]].folded ? first : first + lane[row]
}
