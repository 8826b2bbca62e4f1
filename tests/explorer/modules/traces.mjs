// Shared by the tests of the modules: traces written as text, messages as Python sends them, a source without a kernel, and
// small random inputs. Times are on a small integer grid, so that ties, zero lengths and touching spans are common.

import { traceOf } from '../../../tokenvis/explorer/modules/model/trace.mjs'

/**
 * Seeded random integers: `whole(n)` is in [0, n). (T. Ettinger's mulberry32.)
 * @param {number} seed
 */
export function random(seed) {
  let state = seed
  return (/** @type {number} */ n) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * n)
  }
}

/** Checks a law with seeded examples. @param {number} count @param {(whole: (n: number) => number, seed: number) => void} law */
export function examples(count, law) {
  for (let seed = 0; seed < count; seed++) {
    try {
      law(random(seed * 7919 + 1), seed)
    } catch (error) {
      error.message = `seed ${seed}: ${error.message}`
      throw error
    }
  }
}

/** @param {number} n @param {(number: number) => any} make */
export const list = (n, make) => Array.from({ length: n }, (_, number) => make(number))

/** Sorted numbers. @param {ArrayLike<number>} numbers */
export const sorted = (numbers) => Array.from(numbers).sort((one, other) => one - other)

/** Random spans as text, "agent start end location". @param {(n: number) => number} whole @param {number} [most] */
export function someSpans(whole, most = 12) {
  return list(whole(most + 1), () => {
    const start = whole(9)
    return `${['ann', 'bob', 'eve'][whole(3)]} ${start} ${start + whole(6)} ${['desk', 'lab', 'attic'][whole(3)]}`
  })
}

/** Random starts and ends of a lane: sorted, without overlaps; an instant occupies one microsecond. */
export function someLane(whole, most = 12) {
  const [start, end] = [[], []]
  let free = whole(4)
  for (let count = whole(most + 1); count > 0; count--) {
    start.push(free + whole(3) * whole(4))
    end.push(start[start.length - 1] + whole(7))
    free = Math.max(end[end.length - 1], start[start.length - 1] + 1)
  }
  return { start: Float64Array.from(start), end: Float64Array.from(end) }
}

/**
 * A message: a header, and columns of numbers below 2 ** 32.
 * @param {Record<string, any>} header
 * @param {Record<string, number[]>} [columns] those named "start" and "rows" ascend
 */
export function messageOf(header, columns = {}) {
  const ascending = (name) => name === 'start' || name === 'rows'
  const specs = Object.keys(columns).map((name) => ({ name, type: 'u32', ascending: ascending(name), n_wide: 0 }))
  const buffers = Object.entries(columns).map(([name, values]) => {
    return Uint32Array.from(values, (value, row) => ascending(name) && row ? value - values[row - 1] : value).buffer
  })
  return { header: { ...header, columns: specs }, buffers }
}

/** Sorted names with colours, and the codes of values. @param {string[]} values */
export function coded(values) {
  const names = [...new Set(values)].sort()
  const colors = names.map((_, code) => `#00000${code}`)
  return { codes: values.map((value) => names.indexOf(value)), key: { names, colors, legend: [], missing: false } }
}

/**
 * The message of a trace written as text: "agent start end location".
 * @param {string[]} rows
 * @param {{offsets: number[], places: number[]}} [map]
 */
export function traceMessage(rows, map) {
  const spans = rows.map((row) => row.split(' ')).map(([agent, start, end, location]) => {
    return { agent, start: Number(start), end: Number(end), location }
  })
  spans.sort((one, other) => one.start - other.start || one.end - other.end || one.agent.localeCompare(other.agent))
  const first = spans.length ? spans[0].start : 0
  const ends = spans.length ? [first, Math.max(...spans.map(({ end }) => end))] : [0, 1]
  const [agent, location] = [coded(spans.map((span) => span.agent)), coded(spans.map((span) => span.location))]
  const header = { trace: 't', first, clock: null, map: map ?? { offsets: ends, places: ends } }
  return messageOf({ ...header, keys: { agent_id: agent.key, location_id: location.key } }, {
    start: spans.map(({ start }) => start - first),
    duration: spans.map(({ start, end }) => end - start),
    agent_id: agent.codes,
    location_id: location.codes,
  })
}

/** A trace written as text. @param {string[]} rows */
export const traceOfText = (...rows) => traceOf(traceMessage(rows))

/**
 * A source with a trace written as text; it records requests and reports.
 * @param {string[]} rows
 * @param {Record<string, (params: any) => any>} [answers] override its own answers
 * @param {{offsets: number[], places: number[]}} [map]
 */
export function sourceOf(rows, answers = {}, map) {
  const own = {
    trace: () => traceMessage(rows, map),
    keys: () => messageOf({ keys: ['agent_id', 'location_id', 'tool'] }),
    facts: () => messageOf({}),
    moves: () => messageOf({}, { from: [], to: [] }),
    selection: () => messageOf({}, { rows: [] }),
    labels: (params) => messageOf({ labels: params.rows.map((row) => `label ${row}`) }),
    details: ({ row }) => messageOf({ details: { id: `s${row}`, label: '', data: null, parent: null } }),
    search: () => messageOf({}, { rows: [] }),
    ...answers,
  }
  const source = {
    asked: [],
    reported: [],
    async ask(what, params) {
      source.asked.push([what, params])
      if (!(what in own)) throw new Error(`No answer to ${what}.`)
      return own[what](params)
    },
    report: ({ of, ...state }, selection) => {
      if (of !== 't') throw new Error(`Reported for trace ${of}.`)
      source.reported.push(selection ? { ...state, rows: [...selection.rows], count: selection.count } : state)
    },
  }
  return source
}
