// The renewal: a model shows what its trace has become, and the user's place in the picture stays as it is.
//
// All that the new picture needs is fetched beside the old one, which stays until then. What is kept is kept by names and times:
// rows, codes of names and the origin of times shift as spans come in. The selection is asked of Python, which knows spans by id.

import { fetchColumn, fetchRest, fetchTrace } from './fetching.mjs'
import { foundIn } from './finding.mjs'
import { firstAtLeast } from './search.mjs'
import { toPlace } from './timemap.mjs'
import { rowsIn } from './trace.mjs'

/**
 * @typedef {import('./model.mjs').Model} Model
 * @typedef {import('./trace.mjs').Trace} Trace
 * @typedef {import('./fetching.mjs').Fetched} Fetched
 * @typedef {{selected: Uint32Array, found: Uint32Array, labels: Map<number, string>, details: import('./model.mjs').Details | null}}
 *   Personal what somebody has chosen and sees of a trace
 */

const KEPT_LABELS = 2_000 // that are fetched before the picture changes; the others are fetched by its first frame

/** Show what the trace has become; of several wishes at once, the last one is heard. @param {Model} model */
export function renew(model) {
  model.isDue = true
  model.renewing ??= renewed(model).finally(() => { model.renewing = null })
  return model.renewing
}

/** @param {Model} model */
async function renewed(model) {
  await model.opened
  while (model.isDue && !model.isClosed && model.trace) {
    model.isDue = false
    const { by, hue, wanted } = model
    const next = await fetchTrace(model, [by, hue, wanted.by, wanted.hue])
    if (!next || (next.trace.version !== undefined && next.trace.version === model.trace?.version)) continue
    const rest = await fetchRest(model, next.trace)
    const personal = await fetchPersonal(model, next)
    if (next.trace.isOld) model.isDue = true
    else if (!model.isClosed) put(model, next, rest, personal)
  }
}

/**
 * What somebody has chosen and sees, in the new trace; it is fetched again where that changed meanwhile, or a drag goes on.
 * @param {Model} model
 * @param {Fetched} next
 * @returns {Promise<Personal>}
 */
async function fetchPersonal(model, next) {
  const { trace, columns } = next
  for (;;) {
    const { selected: before, query, by, hue, trace: old } = model
    const words = query.trim().toLowerCase()
    const labelled = Array.from(sameSpans(/** @type {Trace} */ (old), trace, labelledRows(model)).values())
    const [selection, search, labels] = await Promise.all([
      model.ask('selection', {}, trace),
      words ? model.ask('search', { query: words }, trace) : null,
      labelled.length ? model.ask('labels', { rows: labelled }, trace) : null,
      ...[by, hue].filter((key) => !columns.has(key)).map((key) => fetchColumn(model, next, key)),
    ])
    const selected = selection ? rowsIn(selection) : new Uint32Array()
    const details = selected.length === 1 ? await model.ask('details', { row: selected[0] }, trace) : null
    if (model.held) await model.held
    else if (trace.isOld || model.isClosed || [model.selected, model.query, model.by, model.hue].every((value, number) => {
      return value === [before, query, by, hue][number]
    })) {
      const names = new Map(labelled.map((row, number) => [row, labels?.header.labels[number] ?? '']))
      return { selected, found: foundIn(trace, words, search), labels: labels ? names : new Map(), details: details?.header.details ?? null }
    }
  }
}

/** The rows in the window whose labels are known. @param {Model} model */
function labelledRows({ labels, scene, window: { from, to } }) {
  if (!scene) return []
  const { start, end } = scene.places
  return Array.from(labels.keys()).filter((row) => end[row] >= from && start[row] <= to).slice(0, KEPT_LABELS)
}

/**
 * Rows of a trace, and where the same spans stand in another version of it, as far as their times and names tell.
 * @param {Trace} old
 * @param {Trace} next
 * @param {number[]} rows
 * @returns {Map<number, number>}
 */
export function sameSpans(old, next, rows) {
  const shift = old.origin - next.origin
  const same = new Map()
  const taken = new Set()
  for (const row of rows) {
    const [start, end] = [old.start[row] + shift, old.end[row] + shift]
    const agent = old.agent.names[old.agent.codes[row]]
    const location = old.location.names[old.location.codes[row]]
    for (let other = firstAtLeast(next.start, 0, next.n, start); other < next.n && next.start[other] === start; other++) {
      if (taken.has(other) || next.end[other] !== end || next.agent.names[next.agent.codes[other]] !== agent) continue
      if (next.location.names[next.location.codes[other]] !== location) continue
      taken.add(other)
      same.set(row, other)
      break
    }
  }
  return same
}

/**
 * Put the new trace in the place of the old one, at once.
 * @param {Model} model
 * @param {Fetched} next
 * @param {Awaited<ReturnType<typeof fetchRest>>} rest
 * @param {Personal} personal
 */
function put(model, { trace, columns }, { keys, facts, moves }, { selected, found, labels, details }) {
  const old = /** @type {Trace} */ (model.trace)
  const band = model.columns.get(model.by)
  const [wasWhole, times, hadMatch] = [isWhole(model), model.offsets(), model.match >= 0]
  model.dispatchEvent(new Event('renewing')) // who shows it keeps in mind what is where
  for (const name of /** @type {const} */ (['by', 'hue'])) {
    if (columns.has(model[name])) continue
    model[name] = model.wanted[name] = name === 'by' ? 'location_id' : 'agent_id' // it has too many values by now
    model.say({ [name]: model[name] })
  }
  model.shown = shownAgain(model.shown, old, trace)
  model.folding = band?.key === model.by ? codesAgain(model.folding, band.names, columns.get(model.by)?.names ?? []) : new Map()
  Object.assign(model, { trace, columns, labels, selected, found, details, packings: new Map(), keys: keys ?? model.keys })
  Object.assign(model, { facts: facts ?? null, moves: moves ?? null, focus: selected.length === 1 ? selected[0] : -1 })
  model.rematch()
  if (hadMatch) model.match = model.matches.indexOf(model.focus)
  model.place()
  const map = /** @type {import('./scene.mjs').Scene} */ (model.scene).map
  const [from, to] = times.map((offset) => toPlace(map, offset + old.origin - trace.origin))
  model.window = wasWhole ? model.whole() : model.clamped(from, to)
  model.refigure()
  model.changed('renewal')
}

/** Whether the window shows all of the trace, to the microsecond that Python counts in. @param {Model} model */
function isWhole(model) {
  const { from, to } = model.whole()
  return model.window.from <= from + 0.5 && model.window.to >= to - 0.5
}

/**
 * The agents that are shown: the same ones, unless all were.
 * @param {Uint8Array} shown
 * @param {Trace} old
 * @param {Trace} next
 */
function shownAgain(shown, old, next) {
  const names = new Set(old.agent.names.filter((_, code) => shown[code]))
  return Uint8Array.from(next.agent.names, (name) => Number(names.size === old.agent.names.length || names.has(name)))
}

/**
 * The codes that the same names have now.
 * @template T
 * @param {Map<number, T>} byCode
 * @param {string[]} names
 * @param {string[]} now
 * @returns {Map<number, T>}
 */
function codesAgain(byCode, names, now) {
  const codes = new Map(now.map((name, code) => [name, code]))
  const again = new Map()
  for (const [code, value] of byCode) {
    const found = codes.get(names[code])
    if (found !== undefined) again.set(found, value)
  }
  return again
}
