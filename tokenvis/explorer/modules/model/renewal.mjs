// Renewal: updates a model after its trace has changed, and keeps the view state.
//
// The old picture stays until everything for the new one is fetched. State is carried over by names and times, because rows,
// name codes and the time origin shift as spans arrive. The selection comes from Python, which identifies spans by id.

import { fetchColumn, fetchDeferred, fetchTrace } from './fetching.mjs'
import { matchingRows } from './finding.mjs'
import { firstAtLeast } from './search.mjs'
import { toAxisTime } from './timemap.mjs'
import { rowsOfMessage } from './trace.mjs'

/**
 * @typedef {import('./model.mjs').Model} Model
 * @typedef {import('./trace.mjs').Trace} Trace
 * @typedef {import('./fetching.mjs').FetchedTrace} FetchedTrace
 * @typedef {{selected: Uint32Array, foundRows: Uint32Array, labels: Map<number, string>,
 *   details: import('./model.mjs').Details | null}} ViewState the user's selection, search, labels and details
 */

const MAX_PREFETCHED_LABELS = 2_000 // fetched before the picture changes; its first frame requests the others

/** Updates the model to the current trace; concurrent calls share one update. @param {Model} model */
export function renew(model) {
  model.needsRenewal = true
  model.renewing ??= runRenewals(model).finally(() => { model.renewing = null })
  return model.renewing
}

/** @param {Model} model */
async function runRenewals(model) {
  await model.opened
  while (model.needsRenewal && !model.isClosed && model.trace) {
    model.needsRenewal = false
    const { by, hue, requested } = model
    const next = await fetchTrace(model, [by, hue, requested.by, requested.hue])
    if (!next || (next.trace.version !== undefined && next.trace.version === model.trace?.version)) continue
    const deferred = await fetchDeferred(model, next.trace)
    const viewState = await fetchViewState(model, next)
    if (next.trace.isStale) model.needsRenewal = true
    else if (!model.isClosed) replaceTrace(model, next, deferred, viewState)
  }
}

/**
 * The view state in the new trace; fetched again if the user changes it meanwhile or is dragging.
 * @param {Model} model
 * @param {FetchedTrace} next
 * @returns {Promise<ViewState>}
 */
async function fetchViewState(model, next) {
  const { trace, columns } = next
  for (;;) {
    const { selected: selectedBefore, query, by, hue, trace: old } = model
    const needle = query.trim().toLowerCase()
    const labelled = Array.from(matchSpans(/** @type {Trace} */ (old), trace, labelledRows(model)).values())
    const [selection, search, labels] = await Promise.all([
      model.ask('selection', {}, trace),
      needle ? model.ask('search', { query: needle }, trace) : null,
      labelled.length ? model.ask('labels', { rows: labelled }, trace) : null,
      ...[by, hue].filter((key) => !columns.has(key)).map((key) => fetchColumn(model, next, key)),
    ])
    const selected = selection ? rowsOfMessage(selection) : new Uint32Array()
    const details = selected.length === 1 ? await model.ask('details', { row: selected[0] }, trace) : null
    if (model.dragging) await model.dragging
    else if (trace.isStale || model.isClosed || [model.selected, model.query, model.by, model.hue].every((value, number) => {
      return value === [selectedBefore, query, by, hue][number]
    })) {
      const names = new Map(labelled.map((row, number) => [row, labels?.header.labels[number] ?? '']))
      return {
        selected, foundRows: matchingRows(trace, needle, search), labels: labels ? names : new Map(),
        details: details?.header.details ?? null,
      }
    }
  }
}

/** The rows in the window whose labels are loaded. @param {Model} model */
function labelledRows({ labels, scene, window: { from, to } }) {
  if (!scene) return []
  const { start, end } = scene.spanAxisTimes
  return Array.from(labels.keys()).filter((row) => end[row] >= from && start[row] <= to).slice(0, MAX_PREFETCHED_LABELS)
}

/**
 * Maps rows of a trace to the rows of the same spans in another version, matched by times and names.
 * @param {Trace} old
 * @param {Trace} next
 * @param {number[]} rows
 * @returns {Map<number, number>}
 */
export function matchSpans(old, next, rows) {
  const shift = old.origin - next.origin
  const matches = new Map()
  const matched = new Set()
  for (const row of rows) {
    const [start, end] = [old.start[row] + shift, old.end[row] + shift]
    const agent = old.agent.names[old.agent.codes[row]]
    const location = old.location.names[old.location.codes[row]]
    for (let other = firstAtLeast(next.start, 0, next.n, start); other < next.n && next.start[other] === start; other++) {
      if (matched.has(other) || next.end[other] !== end || next.agent.names[next.agent.codes[other]] !== agent) continue
      if (next.location.names[next.location.codes[other]] !== location) continue
      matched.add(other)
      matches.set(row, other)
      break
    }
  }
  return matches
}

/**
 * Replaces the trace of a model in one step.
 * @param {Model} model
 * @param {FetchedTrace} next
 * @param {Awaited<ReturnType<typeof fetchDeferred>>} deferred
 * @param {ViewState} viewState
 */
function replaceTrace(model, { trace, columns }, { keys, facts, moves }, { selected, foundRows, labels, details }) {
  const old = /** @type {Trace} */ (model.trace)
  const band = model.columns.get(model.by)
  const [showedAll, times, hadMatch] = [showsAll(model), model.windowOffsets(), model.matchIndex >= 0]
  model.dispatchEvent(new Event('renewing')) // the viewport saves its scroll anchor
  for (const name of /** @type {const} */ (['by', 'hue'])) {
    if (columns.has(model[name])) continue
    model[name] = model.requested[name] = name === 'by' ? 'location_id' : 'agent_id' // it has too many values now
    model.report({ [name]: model[name] })
  }
  model.shown = remapShown(model.shown, old, trace)
  model.folding = band?.key === model.by ? remapCodes(model.folding, band.names, columns.get(model.by)?.names ?? []) : new Map()
  Object.assign(model, { trace, columns, labels, selected, foundRows, details, packings: new Map(), keys: keys ?? model.keys })
  Object.assign(model, { facts: facts ?? null, moves: moves ?? null, focus: selected.length === 1 ? selected[0] : -1 })
  model.updateMatches()
  if (hadMatch) model.matchIndex = model.matches.indexOf(model.focus)
  model.updateScene()
  const map = /** @type {import('./scene.mjs').Scene} */ (model.scene).map
  const [from, to] = times.map((offset) => toAxisTime(map, offset + old.origin - trace.origin))
  model.window = showedAll ? model.fullWindow() : model.clamped(from, to)
  model.updateFigures()
  model.emitChange('renewal')
}

/** Whether the window shows the whole trace, to the microsecond. @param {Model} model */
function showsAll(model) {
  const { from, to } = model.fullWindow()
  return model.window.from <= from + 0.5 && model.window.to >= to - 0.5
}

/**
 * Flags of the shown agents in the new trace: the same agents, or all if all were shown.
 * @param {Uint8Array} shown
 * @param {Trace} old
 * @param {Trace} next
 */
function remapShown(shown, old, next) {
  const names = new Set(old.agent.names.filter((_, code) => shown[code]))
  return Uint8Array.from(next.agent.names, (name) => Number(names.size === old.agent.names.length || names.has(name)))
}

/**
 * A map by code with the codes replaced by those that the same names have now.
 * @template T
 * @param {Map<number, T>} byCode
 * @param {string[]} names
 * @param {string[]} newNames
 * @returns {Map<number, T>}
 */
function remapCodes(byCode, names, newNames) {
  const codes = new Map(newNames.map((name, code) => [name, code]))
  const remapped = new Map()
  for (const [code, value] of byCode) {
    const newCode = codes.get(names[code])
    if (newCode !== undefined) remapped.set(newCode, value)
  }
  return remapped
}
