// The model of a trace: what is shown of it (window, agents, bands, colours, selection, search), and the scene worked out from that.
//
// Whoever shows it listens to "change"; what a user did is told to the source too, which is where Python hears of it. Times of
// the window are places on the axis here, and offsets in µs where they cross.

import { complete, fetchColumn, fetchTrace, OutOfDate } from './fetching.mjs'
import { figuresOf } from './figures.mjs'
import { foundIn } from './finding.mjs'
import { packed, rowsOf } from './layout.mjs'
import { routesOf } from './moves.mjs'
import { litOf, sceneOf, tintOf } from './scene.mjs'
import { heldTo, placesOf, toOffset, toPlace, unfolded } from './timemap.mjs'
import { agentsIn, rowsIn, rowsOfAgents, versionOf } from './trace.mjs'

/**
 * @typedef {import('./trace.mjs').Message} Message
 * @typedef {import('./trace.mjs').Trace} Trace
 * @typedef {import('./trace.mjs').KeyColumn} KeyColumn
 * @typedef {import('./scene.mjs').Scene} Scene
 * @typedef {{by?: string, hue?: string, window?: [number, number] | null, origin?: number, agents?: number[] | null, names?:
 *   string[] | null}} State what crosses; `null` is all there is. Of a trace that grows, also what holds for each version: the origin
 *   of the window's times, and the names of the agents
 * @typedef {{ask: (what: string, wish?: Record<string, any>) => Promise<Message>, say: (state: Record<string, any>,
 *   rows?: {rows: Uint32Array, count: number}) => void}} Source where traces come from, and where it is told what a user did
 * @typedef {{traces: {id: string, n: number}[], trace: string | null, steps: boolean, fold: boolean, state: State,
 *   follow?: boolean}} Opening
 * @typedef {{id: string, label: string, data: string | null, parent: string | null, omitted?: boolean}} Details of
 *   a span; whether a file leaves its data out
 */

const SHORTEST = 4 // µs that a window shows at the least

export class Model extends EventTarget {
  /**
   * @param {Source} source
   * @param {Opening} opening
   * @param {string | null} id of the trace; null where there is none
   * @param {State} state what is shown at first
   */
  constructor(source, { traces, steps, fold }, id, state) {
    super()
    this.source = source
    this.traces = traces
    this.id = id
    this.steps = steps
    this.fold = fold
    this.by = state.by ?? 'location_id'
    this.hue = state.hue ?? 'agent_id'
    this.wanted = { by: this.by, hue: this.hue } // what was chosen last; its column may be on its way
    this.keys = ['agent_id', 'location_id']
    this.showMoves = true
    this.problem = ''
    this.isClosed = false // whether another trace is shown by now
    this.isDue = false // whether the trace has changed since it was fetched,
    this.renewing = /** @type {Promise<void> | null} */ (null) // which goes on until it is shown as it is
    this.held = /** @type {Promise<void> | null} */ (null) // until a hand lets go of the picture
    this.trace = /** @type {Trace | null} */ (null)
    this.scene = /** @type {Scene | null} */ (null)
    this.columns = /** @type {Map<string, KeyColumn>} */ (new Map())
    this.packings = /** @type {Map<string, import('./layout.mjs').Packed>} */ (new Map())
    this.folding = /** @type {Map<number, boolean>} */ (new Map())
    this.labels = /** @type {Map<number, string>} */ (new Map())
    this.shown = /** @type {Uint8Array} */ (new Uint8Array())
    this.facts = /** @type {import('./trace.mjs').Facts | null} */ (null)
    this.moves = /** @type {import('./trace.mjs').Moves | null} */ (null)
    this.routes = /** @type {import('./moves.mjs').Routes | null} */ (null)
    this.window = { from: 0, to: 1 }
    this.selected = /** @type {Uint32Array} */ (new Uint32Array())
    this.focus = -1
    this.details = /** @type {Details | null} */ (null)
    this.query = ''
    this.found = /** @type {Uint32Array} */ (new Uint32Array()) // what a search found,
    this.matches = /** @type {Uint32Array} */ (new Uint32Array()) // and what of it is shown
    this.match = -1
    this.figures = /** @type {import('./figures.mjs').Figures | null} */ (null)
    this.opened = id === null ? Promise.resolve() : this.open(state)
  }

  /** @param {string} part what has changed */
  changed(part) {
    this.dispatchEvent(new CustomEvent('change', { detail: part }))
  }

  /** Tell the source what a user did. @param {Record<string, any>} state @param {{rows: Uint32Array, count: number}} [selection] */
  say(state, selection) {
    if (!this.isClosed) this.source.say({ ...state, of: this.id, ...versionOf(this.trace) }, selection)
  }

  /**
   * Ask the source; what went wrong is shown, and the answer is null. So it is where another version is shown by then.
   * @param {string} what
   * @param {Record<string, any>} [wish]
   * @param {Trace | null} [about] the version that is meant, null for the last one
   */
  async ask(what, wish = {}, about = this.trace) {
    const { trace } = this
    try {
      const answer = await this.source.ask(what, { trace: this.id, ...versionOf(about), ...wish })
      return this.trace === trace ? answer : null
    } catch (error) {
      if (about && error instanceof OutOfDate) about.isOld = true
      else if (this.trace === trace) this.tell(error instanceof Error ? error.message : String(error))
      return null
    }
  }

  /** @param {string} problem */
  tell(problem) {
    if (problem === this.problem) return
    this.problem = problem
    this.changed('problem')
  }

  /** Fetch the trace, and what its first frame needs. @param {State} state */
  async open(state) {
    const fetched = await fetchTrace(this, [this.by, this.hue])
    if (!fetched) return
    this.trace = fetched.trace
    this.columns = fetched.columns
    this.shown = agentsIn(this.trace, state)
    if (!this.columns.has(this.by)) this.say({ by: (this.by = 'location_id') })
    if (!this.columns.has(this.hue)) this.say({ hue: (this.hue = 'agent_id') })
    this.wanted = { by: this.by, hue: this.hue }
    this.place()
    this.window = this.whole()
    this.apply({ window: state.window, origin: state.origin })
    this.changed('trace')
    setTimeout(() => complete(this), 0) // what the first frame can do without
  }

  // The scene

  /** @param {string} key @returns {Promise<KeyColumn | null>} */
  async columnOf(key) {
    const { trace, columns } = this
    if (columns.has(key) || !trace) return columns.get(key) ?? null
    await fetchColumn(this, { trace, columns }, key)
    if (trace.isOld) await this.renewing
    return this.trace === trace ? columns.get(key) ?? null : this.columnOf(key) // of what is shown by now
  }

  /** Work the scene out. */
  place() {
    const [trace, column, hue] = [this.trace, this.columns.get(this.by), this.columns.get(this.hue)]
    if (!trace || !column || !hue) return
    const packing = this.packings.get(this.by) ?? packed(trace, column)
    this.packings.set(this.by, packing)
    const map = this.fold ? trace.map : unfolded(trace.map)
    const places = this.scene?.map === map ? this.scene.places : { start: placesOf(map, trace.start), end: placesOf(map, trace.end) }
    const rows = rowsOf(packing, this.folding)
    this.scene = sceneOf({ trace, map, places, packing, rows, hue, shown: this.shown, facts: this.facts })
    if (this.moves) this.routes = routesOf(trace, this.moves, map)
    this.light()
  }

  /** Let the selection stand out, else what a search found. */
  light() {
    if (!this.scene) return
    this.scene.lit = litOf(this.scene, this.selected.length > 1 ? this.selected : this.matches)
    this.changed('scene')
  }

  /** @param {string} by @param {boolean} [silent] whether Python said so itself */
  async setBy(by, silent = false) {
    this.wanted.by = by
    this.tell('')
    if (!(await this.columnOf(by)) || by !== this.wanted.by || by === this.by) return // another one was chosen meanwhile
    this.by = by
    this.folding = new Map()
    this.place()
    this.changed('by')
    if (!silent) this.say({ by })
  }

  /** @param {string} hue @param {boolean} [silent] */
  async setHue(hue, silent = false) {
    this.wanted.hue = hue
    this.tell('')
    const column = await this.columnOf(hue)
    if (!column || !this.scene || hue !== this.wanted.hue) return
    this.hue = hue
    this.scene.hue = column
    this.scene.tint = tintOf(this.scene.placed, column)
    this.changed('hue')
    if (!silent) this.say({ hue })
  }

  /** Fold a band into a strip, or unfold it. @param {import('./layout.mjs').Band} band */
  toggleBand({ code, folded }) {
    this.folding.set(code, !folded)
    this.place()
  }

  /** Fold long gaps, or show all time alike. */
  toggleGaps() {
    if (!this.scene) return
    const [from, to] = this.offsets()
    this.fold = !this.fold
    this.place()
    this.say({ fold: this.fold })
    this.setWindow(toPlace(this.scene.map, from), toPlace(this.scene.map, to))
  }

  /** Show moves, or not. */
  toggleMoves() {
    this.showMoves = !this.showMoves
    this.changed('scene')
  }

  // The window

  /** All of the trace. */
  whole() {
    const places = this.scene?.map.places ?? [0, 1]
    return this.clamped(places[0], places[places.length - 1])
  }

  /** @param {number} from @param {number} to */
  clamped(from, to) {
    return heldTo(this.scene?.map.places ?? [0, 1], from, to, SHORTEST)
  }

  /** @param {number} from @param {number} to @param {boolean} [silent] */
  setWindow(from, to, silent = false) {
    if (!this.scene) return
    this.window = this.clamped(from, to)
    this.changed('window')
    if (!silent) this.say({ window: this.offsets() })
  }

  /** The window in µs from the origin. @returns {[number, number]} */
  offsets() {
    const map = this.scene?.map ?? { offsets: Float64Array.of(0, 1), places: Float64Array.of(0, 1) }
    return [toOffset(map, this.window.from), toOffset(map, this.window.to)]
  }

  /** How far it is zoomed in: 1 shows all. */
  zoom() {
    const { from, to } = this.whole()
    return (to - from) / (this.window.to - this.window.from)
  }

  /** @param {number} factor more than 1 to see more of less @param {number} [at] the place that stays where it is */
  zoomBy(factor, at = (this.window.from + this.window.to) / 2) {
    const { from, to } = this.window
    const width = Math.min(Math.max((to - from) / factor, SHORTEST), Math.max(this.whole().to - this.whole().from, SHORTEST))
    const begin = at - ((at - from) / (to - from)) * width
    this.setWindow(begin, begin + width)
  }

  /** @param {number} share of the window's width */
  panBy(share) {
    const { from, to } = this.window
    this.setWindow(from + share * (to - from), to + share * (to - from))
  }

  /** Show all of the trace. */
  fit() {
    const { from, to } = this.whole()
    this.setWindow(from, to)
  }

  /** Show the selection, with a margin. */
  fitSelection() {
    if (!this.scene || !this.selected.length) return
    const { start, end } = this.scene.places
    let [from, to] = [Infinity, -Infinity]
    for (const row of this.selected) [from, to] = [Math.min(from, start[row]), Math.max(to, end[row])]
    const margin = Math.max((to - from) * 0.1, SHORTEST)
    this.setWindow(from - margin, to + margin)
  }

  // Agents

  /** @param {Uint8Array} shown a flag for each agent @param {boolean} [silent] */
  setShown(shown, silent = false) {
    this.shown = shown
    this.rematch()
    this.place()
    this.changed('agents')
    this.refigure()
    if (!silent) this.say({ agents: Array.from(shown.keys()).filter((code) => shown[code]) })
  }

  // The selection

  /** @param {Uint32Array} rows ascending @param {boolean} [silent] */
  select(rows, silent = false) {
    this.selected = rows
    this.focus = rows.length === 1 ? rows[0] : -1
    this.details = null
    this.light()
    this.changed('selection')
    this.refigure()
    if (!silent && this.trace) this.say({ selection: true }, { rows, count: this.trace.n })
    if (this.focus >= 0) this.inspect(this.focus)
  }

  /** Fetch the details of a span. @param {number} row */
  async inspect(row) {
    const answer = await this.ask('details', { row })
    if (!answer || this.focus !== row) return
    this.details = /** @type {Details} */ (answer.header.details)
    this.changed('details')
  }

  /** The next span in the order of the rows, or the one before. @param {number} step 1 or -1 */
  step(step) {
    if (!this.scene || !this.scene.placed.order.length) return
    const { order, first } = this.scene.placed
    const here = this.focus < 0 ? -1 : order.indexOf(this.focus)
    const next = here < 0 ? first[0] : Math.min(Math.max(here + step, 0), order.length - 1)
    this.select(Uint32Array.of(order[next]))
    this.reveal(order[next])
  }

  /** Bring a span into view. @param {number} row */
  reveal(row) {
    if (!this.scene) return
    const { start, end } = this.scene.places
    const { from, to } = this.window
    const outside = start[row] < from || start[row] > to
    const middle = (start[row] + Math.min(end[row], start[row] + (to - from))) / 2
    if (outside) this.setWindow(middle - (to - from) / 2, middle + (to - from) / 2)
    this.dispatchEvent(new CustomEvent('reveal', { detail: row }))
  }

  /** Work the figures out of what is selected, else of all that is shown. */
  refigure() {
    if (!this.trace) return
    this.figures = figuresOf(this.trace, this.facts, this.selected.length ? this.selected : this.rowsShown())
    this.changed('figures')
  }

  /** The rows of the agents that are shown. */
  rowsShown() {
    return this.trace ? rowsOfAgents(this.trace, this.shown) : new Uint32Array()
  }

  // Search and labels

  /** Find spans by agent, location or label. @param {string} query */
  async search(query) {
    const { trace } = this
    this.query = query
    this.tell('')
    const words = query.trim().toLowerCase()
    const answer = words ? await this.ask('search', { query: words }) : null
    if (this.query !== query || !trace || this.trace !== trace) return // a renewal searches for itself
    this.found = foundIn(trace, words, answer)
    this.rematch()
    this.light()
    this.changed('matches')
  }

  /** Of what a search found, take what is shown. */
  rematch() {
    this.matches = this.found.filter((row) => this.shown[Number(this.trace?.agent.codes[row])])
    this.match = -1
  }

  /** Go to the next match, or the one before. @param {number} step 1 or -1 */
  toMatch(step) {
    const { length } = this.matches
    if (!length) return
    this.match = this.match < 0 ? (step > 0 ? 0 : length - 1) : (this.match + step + length) % length
    this.select(Uint32Array.of(this.matches[this.match]))
    this.reveal(this.matches[this.match])
    this.changed('matches')
  }

  /** Fetch labels that a frame lacked. @param {number[]} rows */
  async fetchLabels(rows) {
    const { n = 0 } = this.trace ?? {}
    const wanted = rows.filter((row) => row < n && !this.labels.has(row))
    if (!wanted.length) return
    for (const row of wanted) this.labels.set(row, '')
    const answer = await this.ask('labels', { rows: wanted })
    if (!answer) return
    wanted.forEach((row, number) => this.labels.set(row, answer.header.labels[number] ?? ''))
    this.changed('labels')
  }

  /** What Python says. @param {State} state @param {Message} [selection] */
  apply({ by, hue, window, origin, agents, names }, selection) {
    if (!this.trace || !this.scene) return
    if (by) this.setBy(by, true)
    if (hue) this.setHue(hue, true)
    if (agents) this.setShown(agentsIn(this.trace, { agents, names }), true)
    if (window) {
      const shift = origin === undefined ? 0 : origin - this.trace.origin
      const [from, to] = window.map((time) => time + shift)
      this.setWindow(toPlace(this.scene.map, from), toPlace(this.scene.map, to), true)
      const shown = this.offsets()
      if (Math.abs(shown[0] - from) >= 0.5 || Math.abs(shown[1] - to) >= 0.5) this.say({ window: shown }) // no more than there is
    }
    if (selection && selection.header.version === this.trace.version) this.select(rowsIn(selection), true) // else it is asked for
  }
}
