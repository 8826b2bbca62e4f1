// Moves: changes of an agent's location, by agent in order of arrival, indexed for lookup by the visible time.

import { firstAtLeast } from './search.mjs'
import { toAxisTime } from './timemap.mjs'

/**
 * @typedef {import('./trace.mjs').Trace} Trace
 * @typedef {import('./trace.mjs').Moves} Moves
 * @typedef {import('./timemap.mjs').TimeMap} TimeMap
 * @typedef {{from: Uint32Array, to: Uint32Array, leftAt: Float64Array, arrivedAt: Float64Array, first: Uint32Array,
 *   latest: Float64Array, earliest: Float64Array}} MoveIndex per move: rows of the trace, axis times; `first` is the index at which
 *   each agent's moves begin; `latest` is the maximum up to a move of its agent, `earliest` the minimum from it on: both ascend
 */

/**
 * @param {Trace} trace
 * @param {Moves} moves
 * @param {TimeMap} map
 * @returns {MoveIndex}
 */
export function moveIndexOf({ start, end, agent }, moves, map) {
  const n = moves.to.length
  const first = new Uint32Array(agent.names.length + 1)
  for (let move = 0; move < n; move++) first[agent.codes[moves.to[move]] + 1]++
  for (let code = 0; code < agent.names.length; code++) first[code + 1] += first[code]
  const next = first.slice()
  const moveIndex = { from: new Uint32Array(n), to: new Uint32Array(n), leftAt: new Float64Array(n), arrivedAt: new Float64Array(n) }
  for (let move = 0; move < n; move++) {
    const [from, to] = [moves.from[move], moves.to[move]]
    const index = next[agent.codes[to]]++
    moveIndex.from[index] = from
    moveIndex.to[index] = to
    moveIndex.leftAt[index] = toAxisTime(map, end[from] - (moves.before?.[move] ?? 0))
    moveIndex.arrivedAt[index] = toAxisTime(map, start[to] + (moves.after?.[move] ?? 0))
  }
  return { ...moveIndex, first, ...bounds(moveIndex, first) }
}

/**
 * Running bounds of the axis times of each agent's moves.
 * @param {{leftAt: Float64Array, arrivedAt: Float64Array}} moveIndex
 * @param {Uint32Array} first
 */
function bounds({ leftAt, arrivedAt }, first) {
  const latest = leftAt.map((axisTime, move) => Math.max(axisTime, arrivedAt[move]))
  const earliest = leftAt.map((axisTime, move) => Math.min(axisTime, arrivedAt[move]))
  for (let code = 0; code + 1 < first.length; code++) {
    const [from, last] = [first[code], first[code + 1] - 1]
    for (let move = from + 1; move <= last; move++) latest[move] = Math.max(latest[move], latest[move - 1])
    for (let move = last - 1; move >= from; move--) earliest[move] = Math.min(earliest[move], earliest[move + 1])
  }
  return { latest, earliest }
}

/**
 * The moves of shown agents that may be visible in a part of the axis; only their number if there are more than `limit`.
 * @param {MoveIndex} moveIndex
 * @param {Uint8Array} shown
 * @param {number} from
 * @param {number} to
 * @param {number} limit
 */
export function movesIn({ latest, earliest, first }, shown, from, to, limit) {
  const moves = []
  let n = 0
  for (let code = 0; code + 1 < first.length; code++) {
    if (!shown[code]) continue
    const firstInView = firstAtLeast(latest, first[code], first[code + 1], from)
    const afterView = firstAtLeast(earliest, firstInView, first[code + 1], to)
    n += afterView - firstInView
    for (let move = firstInView; move < afterView && n <= limit; move++) moves.push(move)
  }
  return { n, moves: n > limit ? [] : moves }
}
