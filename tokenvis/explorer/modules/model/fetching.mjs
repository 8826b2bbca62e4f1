// Fetching: requests a trace and its columns from the source, all in one version, even if the trace grows in the meantime.

import { moveIndexOf } from './moves.mjs'
import { marksIn } from './scene.mjs'
import { factsOf, keyColumnOf, movesOf, rowsOfMessage, traceOf } from './trace.mjs'

/**
 * @typedef {import('./model.mjs').Model} Model
 * @typedef {import('./trace.mjs').Trace} Trace
 * @typedef {import('./trace.mjs').KeyColumn} KeyColumn
 * @typedef {{trace: Trace, columns: Map<string, KeyColumn>}} FetchedTrace
 */

/** The error of a request for a version that Python no longer keeps, because the trace has changed. */
export class StaleVersionError extends Error {}

/**
 * The current trace, with the columns of some keys; null if it cannot be fetched.
 * @param {Model} model
 * @param {string[]} keys those that cannot be fetched are missing from the columns
 * @returns {Promise<FetchedTrace | null>}
 */
export async function fetchTrace(model, keys) {
  for (;;) {
    const answer = await model.ask('trace', {}, null)
    if (!answer || model.isClosed) return null
    const trace = traceOf(answer)
    const columns = new Map([['agent_id', trace.agent], ['location_id', trace.location]])
    const others = Array.from(new Set(keys)).filter((key) => !columns.has(key))
    await Promise.all(others.map((key) => fetchColumn(model, { trace, columns }, key)))
    if (!trace.isStale) return { trace, columns }
  }
}

/** Fetches the column of a key into `fetched`. @param {Model} model @param {FetchedTrace} fetched @param {string} key */
export async function fetchColumn(model, { trace, columns }, key) {
  const answer = await model.ask('column', { key }, trace)
  if (answer) columns.set(key, keyColumnOf(answer))
}

/** Fetches the data that the first frame does not need. @param {Model} model @param {Trace | null} trace */
export async function fetchDeferred(model, trace) {
  const [keys, facts, moves] = await Promise.all(['keys', 'facts', 'moves'].map((question) => model.ask(question, {}, trace)))
  return {
    keys: /** @type {string[] | null} */ (keys && keys.header.keys),
    facts: facts && factsOf(facts),
    moves: moves && movesOf(moves),
  }
}

/** Fetches the data that the first frame did not need, and updates the model. @param {Model} model */
export async function loadDeferred(model) {
  model.updateFigures()
  const [{ keys, facts, moves }, selection] = await Promise.all([fetchDeferred(model, model.trace), model.ask('selection')])
  if (keys) model.keys = keys
  if (facts) model.facts = facts
  if (moves) model.moves = moves
  const { scene, trace } = model
  if (!scene || !trace) return
  if (model.moves) model.moveIndex = moveIndexOf(trace, model.moves, scene.map)
  scene.marks = marksIn(scene.placed, model.facts)
  model.emitChange('facts')
  if (selection && !model.selected.length) model.select(rowsOfMessage(selection), true)
  else model.updateFigures()
}
