// The model of a trace: the view state (window, agents, bands, colours, selection, search) and the scene computed from it.
//
// Views listen to "change" events. User actions are also reported to the source, which passes them to Python. The window is in
// axis times here, and in offsets in µs in messages.

import { fetchColumn, fetchTrace, loadDeferred, StaleVersionError } from './fetching.mjs'
import { figuresOf } from './figures.mjs'
import { matchingRows } from './finding.mjs'
import { layoutRowsOf, packingOf } from './layout.mjs'
import { moveIndexOf } from './moves.mjs'
import { colorIndexOf, highlightOf, sceneOf } from './scene.mjs'
import { axisTimesOf, clampedWindow, toAxisTime, toOffset, unfolded } from './timemap.mjs'
import { agentFlags, rowsOfMessage, rowsOfShownAgents, versionOf } from './trace.mjs'

/**
 * @typedef {import('./trace.mjs').Message} Message
 * @typedef {import('./trace.mjs').Trace} Trace
 * @typedef {import('./trace.mjs').KeyColumn} KeyColumn
 * @typedef {import('./scene.mjs').Scene} Scene
 * @typedef {{by?: string, hue?: string, window?: [number, number] | null, origin?: number, agents?: number[] | null, names?:
 *   string[] | null}} State in messages; `null` means all. For a trace that grows, also the origin of the window and the agents' names
 * @typedef {{ask: (question: string, params?: Record<string, any>) => Promise<Message>, report: (state: Record<string, any>,
 *   rows?: {rows: Uint32Array, count: number}) => void}} Source provides traces, and receives user actions
 * @typedef {{traces: {id: string, n: number, name?: string}[], trace: string | null, steps: boolean, fold: boolean, state: State,
 *   follow?: boolean}} Opening
 * @typedef {{id: string, label: string, data: string | null, parent: string | null, omitted?: boolean}} Details of
 *   a span; `omitted` if a saved page does not include its data
 */

const MIN_WINDOW_US = 4 // shortest window

export class Model extends EventTarget {
  /**
   * @param {Source} source
   * @param {Opening} opening
   * @param {string | null} id of the trace; null if there is none
   * @param {State} state initial view state
   */
  constructor(source, { traces, steps, fold }, id, state) {
    super()
    this.source = source
    this.traces = traces
    this.id = id
    this.hasStepTimes = steps
    this.fold = fold
    this.by = state.by ?? 'location_id'
    this.hue = state.hue ?? 'agent_id'
    this.requested = { by: this.by, hue: this.hue } // the last choice; its column may still be loading
    this.keys = ['agent_id', 'location_id']
    this.showMoves = true
    this.problem = ''
    this.isClosed = false // whether another trace has replaced it
    this.needsRenewal = false // whether the trace has changed since it was fetched
    this.renewing = /** @type {Promise<void> | null} */ (null) // resolves when the current version is shown
    this.dragging = /** @type {Promise<void> | null} */ (null) // resolves when the drag ends
    this.trace = /** @type {Trace | null} */ (null)
    this.scene = /** @type {Scene | null} */ (null)
    this.columns = /** @type {Map<string, KeyColumn>} */ (new Map())
    this.packings = /** @type {Map<string, import('./layout.mjs').Packing>} */ (new Map())
    this.folding = /** @type {Map<number, boolean>} */ (new Map())
    this.labels = /** @type {Map<number, string>} */ (new Map())
    this.shown = /** @type {Uint8Array} */ (new Uint8Array())
    this.facts = /** @type {import('./trace.mjs').Facts | null} */ (null)
    this.moves = /** @type {import('./trace.mjs').Moves | null} */ (null)
    this.moveIndex = /** @type {import('./moves.mjs').MoveIndex | null} */ (null)
    this.window = { from: 0, to: 1 }
    this.selected = /** @type {Uint32Array} */ (new Uint32Array())
    this.focus = -1
    this.details = /** @type {Details | null} */ (null)
    this.query = ''
    this.foundRows = /** @type {Uint32Array} */ (new Uint32Array()) // all matches of the search
    this.matches = /** @type {Uint32Array} */ (new Uint32Array()) // matches of shown agents
    this.matchIndex = -1
    this.figures = /** @type {import('./figures.mjs').Figures | null} */ (null)
    this.opened = id === null ? Promise.resolve() : this.open(state)
  }

  /** Announces a change of the model. @param {string} part */
  emitChange(part) {
    this.dispatchEvent(new CustomEvent('change', { detail: part }))
  }

  /** Reports a user action. @param {Record<string, any>} state @param {{rows: Uint32Array, count: number}} [selection] */
  report(state, selection) {
    if (!this.isClosed) this.source.report({ ...state, of: this.id, ...versionOf(this.trace) }, selection)
  }

  /**
   * Sends a request to the source. Returns null after an error, which is shown, or if another version is shown by then.
   * @param {string} question
   * @param {Record<string, any>} [params]
   * @param {Trace | null} [requestedTrace] the version to ask about; null for the latest
   */
  async ask(question, params = {}, requestedTrace = this.trace) {
    const { trace } = this
    try {
      const answer = await this.source.ask(question, { trace: this.id, ...versionOf(requestedTrace), ...params })
      return this.trace === trace ? answer : null
    } catch (error) {
      if (requestedTrace && error instanceof StaleVersionError) requestedTrace.isStale = true
      else if (this.trace === trace) this.showProblem(error instanceof Error ? error.message : String(error))
      return null
    }
  }

  /** Shows an error message, or removes it (""). @param {string} problem */
  showProblem(problem) {
    if (problem === this.problem) return
    this.problem = problem
    this.emitChange('problem')
  }

  /** Fetches the trace and the columns that its first frame needs. @param {State} state */
  async open(state) {
    const fetched = await fetchTrace(this, [this.by, this.hue])
    if (!fetched) return
    this.trace = fetched.trace
    this.columns = fetched.columns
    this.shown = agentFlags(this.trace, state)
    if (!this.columns.has(this.by)) this.report({ by: (this.by = 'location_id') })
    if (!this.columns.has(this.hue)) this.report({ hue: (this.hue = 'agent_id') })
    this.requested = { by: this.by, hue: this.hue }
    this.updateScene()
    this.window = this.fullWindow()
    this.apply({ window: state.window, origin: state.origin })
    this.emitChange('trace')
    setTimeout(() => loadDeferred(this), 0) // not needed for the first frame
  }

  // The scene

  /** The column of a key; null if it cannot be fetched. @param {string} key @returns {Promise<KeyColumn | null>} */
  async loadColumn(key) {
    const { trace, columns } = this
    if (columns.has(key) || !trace) return columns.get(key) ?? null
    await fetchColumn(this, { trace, columns }, key)
    if (trace.isStale) await this.renewing
    return this.trace === trace ? columns.get(key) ?? null : this.loadColumn(key) // of the trace that is shown by now
  }

  /** Computes the scene. */
  updateScene() {
    const [trace, column, hueColumn] = [this.trace, this.columns.get(this.by), this.columns.get(this.hue)]
    if (!trace || !column || !hueColumn) return
    const packing = this.packings.get(this.by) ?? packingOf(trace, column)
    this.packings.set(this.by, packing)
    const map = this.fold ? trace.map : unfolded(trace.map)
    const spanAxisTimes = this.scene?.map === map ? this.scene.spanAxisTimes
      : { start: axisTimesOf(map, trace.start), end: axisTimesOf(map, trace.end) }
    const layoutRows = layoutRowsOf(packing, this.folding)
    this.scene = sceneOf({ trace, map, spanAxisTimes, packing, layoutRows, hueColumn, shown: this.shown, facts: this.facts })
    if (this.moves) this.moveIndex = moveIndexOf(trace, this.moves, map)
    this.updateHighlight()
  }

  /** Highlights the selection, else the search matches. */
  updateHighlight() {
    if (!this.scene) return
    this.scene.highlight = highlightOf(this.scene, this.selected.length > 1 ? this.selected : this.matches)
    this.emitChange('scene')
  }

  /** @param {string} by @param {boolean} [silent] true if Python set it: it is not reported back */
  async setBy(by, silent = false) {
    this.requested.by = by
    this.showProblem('')
    if (!(await this.loadColumn(by)) || by !== this.requested.by || by === this.by) return // failed, superseded or already shown
    this.by = by
    this.folding = new Map()
    this.updateScene()
    this.emitChange('by')
    if (!silent) this.report({ by })
  }

  /** @param {string} hue @param {boolean} [silent] */
  async setHue(hue, silent = false) {
    this.requested.hue = hue
    this.showProblem('')
    const column = await this.loadColumn(hue)
    if (!column || !this.scene || hue !== this.requested.hue) return
    this.hue = hue
    this.scene.hueColumn = column
    this.scene.colorIndex = colorIndexOf(this.scene.placed, column)
    this.emitChange('hue')
    if (!silent) this.report({ hue })
  }

  /** Folds a band into a strip, or unfolds it. @param {import('./layout.mjs').Band} band */
  toggleBand({ code, folded }) {
    this.folding.set(code, !folded)
    this.updateScene()
  }

  /** Toggles between folded gaps and linear time. */
  toggleGaps() {
    if (!this.scene) return
    const [from, to] = this.windowOffsets()
    this.fold = !this.fold
    this.updateScene()
    this.report({ fold: this.fold })
    this.setWindow(toAxisTime(this.scene.map, from), toAxisTime(this.scene.map, to))
  }

  /** Shows or hides moves. */
  toggleMoves() {
    this.showMoves = !this.showMoves
    this.emitChange('scene')
  }

  // The window

  /** The window that shows the whole trace. */
  fullWindow() {
    const ends = this.scene?.map.axisTimes ?? [0, 1]
    return this.clamped(ends[0], ends[ends.length - 1])
  }

  /** @param {number} from @param {number} to */
  clamped(from, to) {
    return clampedWindow(this.scene?.map.axisTimes ?? [0, 1], from, to, MIN_WINDOW_US)
  }

  /** @param {number} from @param {number} to @param {boolean} [silent] */
  setWindow(from, to, silent = false) {
    if (!this.scene) return
    this.window = this.clamped(from, to)
    this.emitChange('window')
    if (!silent) this.report({ window: this.windowOffsets() })
  }

  /** The window in offsets in µs from the origin. @returns {[number, number]} */
  windowOffsets() {
    const map = this.scene?.map ?? { offsets: Float64Array.of(0, 1), axisTimes: Float64Array.of(0, 1) }
    return [toOffset(map, this.window.from), toOffset(map, this.window.to)]
  }

  /** The zoom factor: 1 shows the whole trace. */
  zoom() {
    const { from, to } = this.fullWindow()
    return (to - from) / (this.window.to - this.window.from)
  }

  /** @param {number} factor above 1 zooms in @param {number} [at] the axis time that keeps its position */
  zoomBy(factor, at = (this.window.from + this.window.to) / 2) {
    const { from, to } = this.window
    const width = Math.min(
      Math.max((to - from) / factor, MIN_WINDOW_US), Math.max(this.fullWindow().to - this.fullWindow().from, MIN_WINDOW_US))
    const begin = at - ((at - from) / (to - from)) * width
    this.setWindow(begin, begin + width)
  }

  /** @param {number} share of the window's width */
  panBy(share) {
    const { from, to } = this.window
    this.setWindow(from + share * (to - from), to + share * (to - from))
  }

  /** Shows the whole trace. */
  fit() {
    const { from, to } = this.fullWindow()
    this.setWindow(from, to)
  }

  /** Zooms to the selection, with a margin. */
  fitSelection() {
    if (!this.scene || !this.selected.length) return
    const { start, end } = this.scene.spanAxisTimes
    let [from, to] = [Infinity, -Infinity]
    for (const row of this.selected) [from, to] = [Math.min(from, start[row]), Math.max(to, end[row])]
    const margin = Math.max((to - from) * 0.1, MIN_WINDOW_US)
    this.setWindow(from - margin, to + margin)
  }

  // Agents

  /** @param {Uint8Array} shown a flag for each agent @param {boolean} [silent] */
  setShown(shown, silent = false) {
    this.shown = shown
    this.updateMatches()
    this.updateScene()
    this.emitChange('agents')
    this.updateFigures()
    if (!silent) this.report({ agents: Array.from(shown.keys()).filter((code) => shown[code]) })
  }

  // The selection

  /** @param {Uint32Array} rows ascending @param {boolean} [silent] */
  select(rows, silent = false) {
    this.selected = rows
    this.focus = rows.length === 1 ? rows[0] : -1
    this.details = null
    this.updateHighlight()
    this.emitChange('selection')
    this.updateFigures()
    if (!silent && this.trace) this.report({ selection: true }, { rows, count: this.trace.n })
    if (this.focus >= 0) this.fetchDetails(this.focus)
  }

  /** Fetches the details of a span. @param {number} row */
  async fetchDetails(row) {
    const answer = await this.ask('details', { row })
    if (!answer || this.focus !== row) return
    this.details = /** @type {Details} */ (answer.header.details)
    this.emitChange('details')
  }

  /** Selects the next or the previous span, row by row. @param {number} step 1 or -1 */
  step(step) {
    if (!this.scene || !this.scene.placed.order.length) return
    const { order, first } = this.scene.placed
    const current = this.focus < 0 ? -1 : order.indexOf(this.focus)
    const next = current < 0 ? first[0] : Math.min(Math.max(current + step, 0), order.length - 1)
    this.select(Uint32Array.of(order[next]))
    this.reveal(order[next])
  }

  /** Scrolls a span into view. @param {number} row */
  reveal(row) {
    if (!this.scene) return
    const { start, end } = this.scene.spanAxisTimes
    const { from, to } = this.window
    const outside = start[row] < from || start[row] > to
    const middle = (start[row] + Math.min(end[row], start[row] + (to - from))) / 2
    if (outside) this.setWindow(middle - (to - from) / 2, middle + (to - from) / 2)
    this.dispatchEvent(new CustomEvent('reveal', { detail: row }))
  }

  /** Computes the figures of the selection, else of all shown spans. */
  updateFigures() {
    if (!this.trace) return
    this.figures = figuresOf(this.trace, this.facts, this.selected.length ? this.selected : this.rowsShown())
    this.emitChange('figures')
  }

  /** The rows of the shown agents. */
  rowsShown() {
    return this.trace ? rowsOfShownAgents(this.trace, this.shown) : new Uint32Array()
  }

  // Search and labels

  /** Finds spans by agent, location or label. @param {string} query */
  async search(query) {
    const { trace } = this
    this.query = query
    this.showProblem('')
    const needle = query.trim().toLowerCase()
    const answer = needle ? await this.ask('search', { query: needle }) : null
    if (this.query !== query || !trace || this.trace !== trace) return // a renewal repeats the search
    this.foundRows = matchingRows(trace, needle, answer)
    this.updateMatches()
    this.updateHighlight()
    this.emitChange('matches')
  }

  /** Filters the search results by the shown agents. */
  updateMatches() {
    this.matches = this.foundRows.filter((row) => this.shown[Number(this.trace?.agent.codes[row])])
    this.matchIndex = -1
  }

  /** Goes to the next or the previous match. @param {number} step 1 or -1 */
  goToMatch(step) {
    const { length } = this.matches
    if (!length) return
    this.matchIndex = this.matchIndex < 0 ? (step > 0 ? 0 : length - 1) : (this.matchIndex + step + length) % length
    this.select(Uint32Array.of(this.matches[this.matchIndex]))
    this.reveal(this.matches[this.matchIndex])
    this.emitChange('matches')
  }

  /** Fetches labels that a frame needs. @param {number[]} rows */
  async fetchLabels(rows) {
    const { n = 0 } = this.trace ?? {}
    const missing = rows.filter((row) => row < n && !this.labels.has(row))
    if (!missing.length) return
    for (const row of missing) this.labels.set(row, '')
    const answer = await this.ask('labels', { rows: missing })
    if (!answer) return
    missing.forEach((row, index) => this.labels.set(row, answer.header.labels[index] ?? ''))
    this.emitChange('labels')
  }

  /** Applies state that Python set; a selection of another version comes with its renewal. @param {State} state @param {Message} [selection] */
  apply({ by, hue, window, origin, agents, names }, selection) {
    if (!this.trace || !this.scene) return
    if (by) this.setBy(by, true)
    if (hue) this.setHue(hue, true)
    if (agents) this.setShown(agentFlags(this.trace, { agents, names }), true)
    if (window) {
      const shift = origin === undefined ? 0 : origin - this.trace.origin
      const [from, to] = window.map((time) => time + shift)
      this.setWindow(toAxisTime(this.scene.map, from), toAxisTime(this.scene.map, to), true)
      const shown = this.windowOffsets()
      if (Math.abs(shown[0] - from) >= 0.5 || Math.abs(shown[1] - to) >= 0.5) this.report({ window: shown }) // clamped to the trace
    }
    if (selection && selection.header.version === this.trace.version) this.select(rowsOfMessage(selection), true)
  }
}
