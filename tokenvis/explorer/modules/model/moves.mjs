// Moves: where agents go from one location to the next, agent by agent in order of arrival, to be found by the time in view.

import { firstAtLeast } from './search.mjs'
import { toPlace } from './timemap.mjs'

/**
 * @typedef {import('./trace.mjs').Trace} Trace
 * @typedef {import('./trace.mjs').Moves} Moves
 * @typedef {import('./timemap.mjs').TimeMap} TimeMap
 * @typedef {{from: Uint32Array, to: Uint32Array, left: Float64Array, arrived: Float64Array, first: Uint32Array,
 *   latest: Float64Array, earliest: Float64Array}} Routes of each move: rows of the trace, places; `first` is where each agent's begin;
 *   `latest` is the last place of its moves so far, `earliest` the first one of those from there on: both ascend
 */

/**
 * @param {Trace} trace
 * @param {Moves} moves
 * @param {TimeMap} map
 * @returns {Routes}
 */
export function routesOf({ start, end, agent }, moves, map) {
  const n = moves.to.length
  const first = new Uint32Array(agent.names.length + 1)
  for (let move = 0; move < n; move++) first[agent.codes[moves.to[move]] + 1]++
  for (let code = 0; code < agent.names.length; code++) first[code + 1] += first[code]
  const next = first.slice()
  const routes = { from: new Uint32Array(n), to: new Uint32Array(n), left: new Float64Array(n), arrived: new Float64Array(n) }
  for (let move = 0; move < n; move++) {
    const [from, to] = [moves.from[move], moves.to[move]]
    const place = next[agent.codes[to]]++
    routes.from[place] = from
    routes.to[place] = to
    routes.left[place] = toPlace(map, end[from] - (moves.before?.[move] ?? 0))
    routes.arrived[place] = toPlace(map, start[to] + (moves.after?.[move] ?? 0))
  }
  return { ...routes, first, ...bounds(routes, first) }
}

/** @param {{left: Float64Array, arrived: Float64Array}} routes @param {Uint32Array} first */
function bounds({ left, arrived }, first) {
  const latest = left.map((place, move) => Math.max(place, arrived[move]))
  const earliest = left.map((place, move) => Math.min(place, arrived[move]))
  for (let code = 0; code + 1 < first.length; code++) {
    const [from, last] = [first[code], first[code + 1] - 1]
    for (let move = from + 1; move <= last; move++) latest[move] = Math.max(latest[move], latest[move - 1])
    for (let move = last - 1; move >= from; move--) earliest[move] = Math.min(earliest[move], earliest[move + 1])
  }
  return { latest, earliest }
}

/**
 * The moves of shown agents that a stretch of the axis may show, or only how many, where they are more than `most`.
 * @param {Routes} routes
 * @param {Uint8Array} shown
 * @param {number} from
 * @param {number} to
 * @param {number} most
 */
export function movesIn({ latest, earliest, first }, shown, from, to, most) {
  const found = []
  let n = 0
  for (let code = 0; code + 1 < first.length; code++) {
    if (!shown[code]) continue
    const begins = firstAtLeast(latest, first[code], first[code + 1], from)
    const after = firstAtLeast(earliest, begins, first[code + 1], to)
    n += after - begins
    for (let move = begins; move < after && n <= most; move++) found.push(move)
  }
  return { n, moves: n > most ? [] : found }
}
