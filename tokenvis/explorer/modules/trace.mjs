// A trace as the page holds it: a column for each thing that is known of its spans, in the order of a frame.

import { columnsOf } from './wire.mjs'
import { timeMap } from './timemap.mjs'

/**
 * @typedef {import('./wire.mjs').Numbers} Numbers
 * @typedef {import('./wire.mjs').ColumnSpec} ColumnSpec
 * @typedef {import('./timemap.mjs').TimeMap} TimeMap
 * @typedef {{columns: ColumnSpec[], [key: string]: any}} Header
 * @typedef {{header: Header, buffers: (DataView | ArrayBuffer)[]}} Message
 * @typedef {{key: string, codes: Numbers, names: string[], colors: string[], legend: [string, string][]}} KeyColumn a value for
 *   each span, as a position in the sorted `names`, and a colour for each of these
 * @typedef {{id: string, n: number, start: Float64Array, end: Float64Array, map: TimeMap, clock: number | null, agent: KeyColumn,
 *   location: KeyColumn}} Trace `start` and `end` are offsets in µs from the origin of the map, `clock` is that origin in
 *   µs since 1970 where times are such
 * @typedef {{self: Numbers | null, input: Numbers | null, output: Numbers | null, status: Numbers | null}} Facts of each span: µs in
 *   which it was its agent's innermost one (null: all of it), tokens (0 where it counts none), a position in `STATUS`
 * @typedef {{from: Numbers, to: Numbers, before: Numbers | null, after: Numbers | null}} Moves rows of the trace, in order of
 *   arrival; how long before the end of the one span its agent left it, and after the start of the other it arrived there
 */

export const STATUS = ['', 'ok', 'error', 'open']

/** @param {Message} message @returns {Trace} */
export function traceOf({ header, buffers }) {
  const columns = columnsOf(header.columns, buffers)
  const start = /** @type {Float64Array} */ (columns.start) // numbers that ascend cross as doubles
  const end = new Float64Array(start.length)
  for (let row = 0; row < start.length; row++) {
    start[row] += header.first
    end[row] = start[row] + columns.duration[row]
  }
  const map = timeMap(header.map.offsets, header.map.places)
  const [agent, location] = ['agent_id', 'location_id'].map((key) => ({ ...header.keys[key], key, codes: columns[key] }))
  return { id: header.trace, n: start.length, start, end, map, clock: header.clock, agent, location }
}

/** @param {Message} message @returns {KeyColumn} */
export function keyColumnOf({ header, buffers }) {
  const { codes } = columnsOf(header.columns, buffers)
  return { key: header.key, names: header.names, colors: header.colors, legend: header.legend, codes }
}

/** @param {Message} message @returns {Facts} */
export function factsOf({ header, buffers }) {
  const { self = null, input = null, output = null, status = null } = columnsOf(header.columns, buffers)
  return { self, input, output, status }
}

/** @param {Message} message @returns {Moves} */
export function movesOf({ header, buffers }) {
  const { from, to, before = null, after = null } = columnsOf(header.columns, buffers)
  return { from, to, before, after }
}

/** @param {Message} message @returns {Uint32Array} */
export function rowsIn({ header, buffers }) {
  return Uint32Array.from(columnsOf(header.columns, buffers).rows)
}
