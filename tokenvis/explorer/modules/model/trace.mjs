// A trace in the page: columns of values per span, in the order of a frame.

import { columnsOf } from './wire.mjs'
import { timeMap } from './timemap.mjs'

/**
 * @typedef {import('./wire.mjs').Numbers} Numbers
 * @typedef {import('./wire.mjs').ColumnSpec} ColumnSpec
 * @typedef {import('./timemap.mjs').TimeMap} TimeMap
 * @typedef {{columns: ColumnSpec[], [key: string]: any}} Header
 * @typedef {{header: Header, buffers: (DataView | ArrayBuffer)[]}} Message
 * @typedef {{key: string, codes: Numbers, names: string[], colors: string[], legend: [string, string][]}} KeyColumn the values
 *   of a key: `codes` are indexes into the sorted `names`, which have a colour each
 * @typedef {{id: string, n: number, start: Float64Array, end: Float64Array, map: TimeMap, origin: number, clock: number | null,
 *   agent: KeyColumn, location: KeyColumn, lost: number, version?: number, isStale?: boolean}} Trace `start` and `end` are offsets in
 *   µs from the origin of the map; `clock` is that origin in µs since 1970, or null if times are not timestamps; `lost` is the
 *   number of spans lost while recording; a trace that grows has a `version`, and is stale once Python no longer keeps that version
 * @typedef {{cut: Numbers, row: Numbers, start: Numbers, duration: Numbers, waits: Numbers | null}} Pieces `cut`: the rows of the
 *   spans that do not work for all of their time, ascending; and all pieces of these spans, in order of start: the row, the start
 *   in µs since the first start of the trace, the duration, and whether it waits (null: no piece waits)
 * @typedef {{pieces: Pieces | null, input: Numbers | null, output: Numbers | null, status: Numbers | null}} Facts the pieces (null:
 *   each span works for all of its time); per span: tokens (0 if not counted), index into `STATUS_BY_CODE`
 * @typedef {{from: Numbers, to: Numbers, before: Numbers | null, after: Numbers | null}} Moves rows of the trace, in order of
 *   arrival; `before`: µs from the departure to the end of the first span, `after`: from the start of the second to the arrival
 */

export const STATUS_BY_CODE = ['', 'ok', 'error', 'open']

/** @param {Message} message @returns {Trace} */
export function traceOf({ header, buffers }) {
  const columns = columnsOf(header.columns, buffers)
  const start = /** @type {Float64Array} */ (columns.start) // ascending columns are decoded as doubles
  const end = new Float64Array(start.length)
  for (let row = 0; row < start.length; row++) {
    start[row] += header.first
    end[row] = start[row] + columns.duration[row]
  }
  const map = timeMap(header.map.offsets, header.map.places)
  const [agent, location] = ['agent_id', 'location_id'].map((key) => ({ ...header.keys[key], key, codes: columns[key] }))
  const { trace: id, clock, origin = 0, lost = 0, version } = header
  return { id, n: start.length, start, end, map, origin, clock, agent, location, lost, version }
}

/** @param {Message} message @returns {KeyColumn} */
export function keyColumnOf({ header, buffers }) {
  const { codes } = columnsOf(header.columns, buffers)
  return { key: header.key, names: header.names, colors: header.colors, legend: header.legend, codes }
}

/** @param {Message} message @returns {Facts} */
export function factsOf({ header, buffers }) {
  const { cut, piece_row: row, piece_start: start, piece_duration: duration, piece_waits: waits = null, ...columns } =
    columnsOf(header.columns, buffers)
  const { input = null, output = null, status = null } = columns
  return { pieces: cut ? { cut, row, start, duration, waits } : null, input, output, status }
}

/** @param {Message} message @returns {Moves} */
export function movesOf({ header, buffers }) {
  const { from, to, before = null, after = null } = columnsOf(header.columns, buffers)
  return { from, to, before, after }
}

/** @param {Message} message @returns {Uint32Array} */
export function rowsOfMessage({ header, buffers }) {
  return Uint32Array.from(columnsOf(header.columns, buffers).rows)
}

/**
 * The rows of the shown agents, ascending.
 * @param {Trace} trace
 * @param {Uint8Array} shown whether each agent is
 */
export function rowsOfShownAgents({ n, agent }, shown) {
  const rows = new Uint32Array(n)
  let count = 0
  for (let row = 0; row < n; row++) {
    rows[count] = row
    count += shown[agent.codes[row]]
  }
  return rows.subarray(0, count)
}

/**
 * Flags of the shown agents, by name if names are given, else by code; null or undefined shows all.
 * @param {Trace} trace
 * @param {{agents?: number[] | null, names?: string[] | null}} state
 */
export function agentFlags({ agent }, { agents, names = agents?.map((code) => agent.names[code]) }) {
  const shown = names ? new Set(names) : null
  return Uint8Array.from(agent.names, (name) => Number(!shown || shown.has(name)))
}

/** The version as a message field; empty for a trace that does not grow. @param {Trace | null} trace */
export const versionOf = (trace) => (trace?.version === undefined ? {} : { version: trace.version })
