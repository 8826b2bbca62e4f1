// Fetching: what a model shows of a trace, asked of its source; all of one version, where the trace grows meanwhile.

import { routesOf } from './moves.mjs'
import { marksIn } from './scene.mjs'
import { factsOf, keyColumnOf, movesOf, rowsIn, traceOf } from './trace.mjs'

/**
 * @typedef {import('./model.mjs').Model} Model
 * @typedef {import('./trace.mjs').Trace} Trace
 * @typedef {import('./trace.mjs').KeyColumn} KeyColumn
 * @typedef {{trace: Trace, columns: Map<string, KeyColumn>}} Fetched
 */

/** The answer to what is asked of a version that nobody knows any more: the trace has changed since. */
export class OutOfDate extends Error {}

/**
 * The trace as it is now, with the columns of some keys; null where there is none.
 * @param {Model} model
 * @param {string[]} keys those that are not in the columns could not be had
 * @returns {Promise<Fetched | null>}
 */
export async function fetchTrace(model, keys) {
  for (;;) {
    const answer = await model.ask('trace', {}, null)
    if (!answer || model.isClosed) return null
    const trace = traceOf(answer)
    const columns = new Map([['agent_id', trace.agent], ['location_id', trace.location]])
    const others = Array.from(new Set(keys)).filter((key) => !columns.has(key))
    await Promise.all(others.map((key) => fetchColumn(model, { trace, columns }, key)))
    if (!trace.isOld) return { trace, columns }
  }
}

/** @param {Model} model @param {Fetched} fetched is given the column @param {string} key */
export async function fetchColumn(model, { trace, columns }, key) {
  const answer = await model.ask('column', { key }, trace)
  if (answer) columns.set(key, keyColumnOf(answer))
}

/** What a first frame can do without. @param {Model} model @param {Trace | null} trace */
export async function fetchRest(model, trace) {
  const [keys, facts, moves] = await Promise.all(['keys', 'facts', 'moves'].map((what) => model.ask(what, {}, trace)))
  return {
    keys: /** @type {string[] | null} */ (keys && keys.header.keys),
    facts: facts && factsOf(facts),
    moves: moves && movesOf(moves),
  }
}

/** Fetch what the first frame did without. @param {Model} model */
export async function complete(model) {
  model.refigure()
  const [{ keys, facts, moves }, selection] = await Promise.all([fetchRest(model, model.trace), model.ask('selection')])
  if (keys) model.keys = keys
  if (facts) model.facts = facts
  if (moves) model.moves = moves
  const { scene, trace } = model
  if (!scene || !trace) return
  if (model.moves) model.routes = routesOf(trace, model.moves, scene.map)
  scene.marks = marksIn(scene.placed, model.facts)
  model.changed('facts')
  if (selection && !model.selected.length) model.select(rowsIn(selection), true)
  else model.refigure()
}
