// The stage: the canvas, which part of the scene it shows, and what pointer and wheel do on it.
//
// The canvas is as high as the part of the page that it has, and sticks there while a sizer as high as all rows is scrolled
// behind it: so scrolling is the browser's own, and goes on to the page at its ends.

import { drawFrame } from '../canvas/drawing.mjs'
import { element } from './dom.mjs'
import { rowAt, spansAt, spansIn } from '../canvas/hits.mjs'
import { BAND_GAP, LANE } from '../model/layout.mjs'
import { lookOf } from '../canvas/look.mjs'
import { rowOf } from '../model/scene.mjs'
import { duration, moment, oneLine, plural } from '../model/text.mjs'

/**
 * @typedef {import('../model/model.mjs').Model} Model
 * @typedef {import('../canvas/drawing.mjs').View} View
 * @typedef {{x: number, y: number, width: number, height: number}} Box
 * @typedef {{kind: 'pan' | 'box' | 'zoom', x: number, y: number, from: number, to: number, top: number, moved: boolean}} Drag
 */

export const RULER = 26
const INSET = 6 // pixels beside the window, so that its first and last span do not touch the edge
const CLICK = 4 // pixels that a pointer may move in a click

export class Stage {
  /**
   * @param {Model} model
   * @param {HTMLElement} root whose style gives the colours
   * @param {(notes: string[]) => void} note is told what a frame left out
   * @param {AbortSignal} signal
   */
  constructor(model, root, note, signal) {
    this.model = model
    this.root = root
    this.note = note
    this.canvas = element('canvas', { tabindex: '0', role: 'application', class: 'tv-canvas' })
    this.sizer = element('div', { class: 'tv-sizer' }, this.canvas)
    this.node = element('div', { class: 'tv-scroll' }, this.sizer)
    this.tip = element('div', { class: 'tv-tip', role: 'tooltip', hidden: true })
    this.message = element('div', { class: 'tv-message', role: 'status' })
    this.hover = -1
    this.box = /** @type {Box | null} */ (null)
    this.drag = /** @type {Drag | null} */ (null)
    this.dragged = false // whether what ends with a click was no click
    this.hit = false // whether the last click was on a span
    this.letGo = () => {} // says that nothing is dragged any more
    this.pointer = /** @type {{x: number, y: number} | null} */ (null)
    this.top = /** @type {{name: string, below: number} | null} */ (null) // the band at the upper edge, while the trace is renewed
    this.frame = 0
    this.look = lookOf(root)
    this.size = { width: 0, height: 0 }
    const resized = new ResizeObserver(() => this.resize())
    resized.observe(this.node)
    signal.addEventListener('abort', () => {
      resized.disconnect()
      cancelAnimationFrame(this.frame)
    })
    this.listen(signal)
  }

  /** @param {AbortSignal} signal */
  listen(signal) {
    const { canvas } = this
    const on = (/** @type {string} */ name, /** @type {(event: any) => void} */ act) => {
      canvas.addEventListener(name, act.bind(this), { signal, passive: false })
    }
    on('pointerdown', this.press)
    on('pointermove', this.move)
    on('pointerup', this.release)
    on('pointercancel', () => {
      this.drag = null
      this.letGo()
    })
    on('pointerleave', () => this.point(null))
    on('click', this.click)
    on('dblclick', () => this.hit && this.model.fitSelection())
    on('wheel', this.wheel)
    this.node.addEventListener('scroll', () => this.redraw(), { signal })
    this.model.addEventListener('renewing', () => this.keepTop(), { signal })
    this.model.addEventListener('reveal', (event) => this.scrollTo(/** @type {CustomEvent} */ (event).detail), { signal })
  }

  // Frames

  /** Draw before the next time that the page is shown. */
  redraw() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0
      this.draw()
    })
  }

  /** The colours of the page have changed. */
  dress() {
    this.look = lookOf(this.root)
    this.redraw()
  }

  resize() {
    const { clientWidth, clientHeight } = this.node
    const ratio = devicePixelRatio || 1
    this.look = lookOf(this.root) // an element has a style only once it is in the page
    this.size = { width: clientWidth, height: clientHeight }
    Object.assign(this.canvas, { width: Math.round(clientWidth * ratio), height: Math.round(clientHeight * ratio) })
    Object.assign(this.canvas.style, { width: `${clientWidth}px`, height: `${clientHeight}px` })
    this.draw()
  }

  /** @returns {View} */
  view() {
    const { from, to } = this.model.window
    const gutter = Math.round(Math.min(Math.max(this.size.width * 0.16, 96), 190))
    const width = Math.max(this.size.width - gutter, 1)
    const scale = Math.max(width - 2 * INSET, 1) / (to - from)
    return {
      left: from - INSET / scale, scale, width, height: Math.max(this.size.height - RULER, 1),
      top: this.node.scrollTop, gutter, ruler: RULER, ratio: devicePixelRatio || 1,
    }
  }

  draw() {
    const { model, canvas } = this
    const { scene } = model
    const ctx = canvas.getContext('2d')
    this.tell()
    if (!ctx || !scene || !this.size.width) return
    const begin = performance.now()
    this.sizer.style.height = `${RULER + scene.rows.height}px`
    const view = this.view()
    const overlay = {
      routes: model.by === 'location_id' ? model.routes : null,
      showMoves: model.showMoves, labelOf: this.labelOf.bind(this), labels: model.labels, focus: model.focus, hover: this.hover,
      box: this.box, steps: model.steps, notes: /** @type {string[]} */ ([]), wanted: /** @type {number[]} */ ([]),
    }
    drawFrame(ctx, view, scene, overlay, this.look)
    this.note(overlay.notes)
    const took = performance.now() - begin
    this.root.dispatchEvent(new CustomEvent('tokenvis:frame', { bubbles: true, detail: { took, view, n: scene.trace.n } }))
    if (overlay.wanted.length) setTimeout(() => model.fetchLabels(overlay.wanted), 0)
  }

  /** Say what there is, in words: for those who cannot see the canvas, and where there is nothing to see. */
  tell() {
    const { scene, trace, id, problem } = this.model
    const empty = id === null || (trace && !trace.n)
    this.message.textContent = empty ? 'This trace has no spans.' : scene ? '' : problem || 'Loading …'
    this.message.hidden = Boolean(scene) && !empty
    const { n = 0, agent = { names: [] }, location = { names: [] } } = trace ?? {}
    const counted = [plural(n, 'span'), plural(agent.names.length, 'agent'), plural(location.names.length, 'location')]
    const counts = trace ? counted.join(', ') : ''
    const label = `Timeline of ${oneLine(id ?? 'no trace')}: ${counts}. Keys: question mark.`
    if (this.canvas.getAttribute('aria-label') !== label) this.canvas.setAttribute('aria-label', label)
  }

  /** What a bar may say, the longest first. @param {number} row @returns {string[]} */
  labelOf(row) {
    const { trace, labels, by, steps } = this.model
    if (!trace) return []
    const other = by === 'agent_id' ? trace.location : trace.agent
    const name = oneLine(labels.get(row) || other.names[other.codes[row]])
    return [`${name} · ${duration(trace.end[row] - trace.start[row], steps)}`, name]
  }

  // Places

  /** @param {number} x CSS pixels of the canvas */
  placeAt(x) {
    const { left, scale, gutter } = this.view()
    return left + (x - gutter) / scale
  }

  /** The rows of the trace under a point. @param {number} x @param {number} y @returns {number[]} */
  spansUnder(x, y) {
    const { scene } = this.model
    const { scale, gutter, ruler, top } = this.view()
    if (!scene || x < gutter || y < ruler) return []
    const [height, place] = [y - ruler + top, this.placeAt(x)]
    const row = rowAt(scene.rows, height)
    if (row < 0) return []
    if (scene.rows.bands[scene.rows.rowBand[row]].folded) {
      const pixel = { from: place - 0.5 / scale, to: place + 0.5 / scale, top: height, bottom: height }
      return Array.from(spansIn(scene.rows, scene.placed, pixel))
    }
    const found = spansAt(scene.placed, row, place, scale)
    return found ? Array.from(scene.placed.order.subarray(found.from, found.to)) : []
  }

  /** The band beside a point of the gutter. @param {number} y */
  bandAt(y) {
    const { ruler, top } = this.view()
    return this.model.scene?.rows.bands.find((band) => y - ruler + top >= band.top && y - ruler + top <= band.top + band.height)
  }

  /** @param {PointerEvent | WheelEvent | MouseEvent} event */
  at(event) {
    const box = this.canvas.getBoundingClientRect()
    return { x: event.clientX - box.left, y: event.clientY - box.top }
  }

  // Pointer and wheel

  /** @param {WheelEvent} event */
  wheel(event) {
    const line = event.deltaMode ? 16 : 1
    const [dx, dy] = [event.deltaX * line, event.deltaY * line]
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault()
      this.model.zoomBy(Math.exp(-dy * 0.002), this.placeAt(Math.max(this.at(event).x, this.view().gutter)))
    } else if (event.shiftKey || Math.abs(dx) > Math.abs(dy)) {
      event.preventDefault()
      this.model.panBy((event.shiftKey && !dx ? dy : dx) / this.view().width)
    }
  }

  /** @param {PointerEvent} event */
  press(event) {
    if (event.button !== 0) return
    const { x, y } = this.at(event)
    const { gutter } = this.view()
    this.canvas.focus({ preventScroll: true })
    this.canvas.setPointerCapture(event.pointerId)
    const kind = /** @type {Drag['kind']} */ (y < RULER && x >= gutter ? 'zoom' : event.shiftKey ? 'box' : 'pan')
    this.drag = { kind, x, y, ...this.model.window, top: this.node.scrollTop, moved: false }
    this.model.held = new Promise((resolve) => {
      this.letGo = () => {
        this.model.held = null
        resolve()
      }
    })
    this.tip.hidden = true
  }

  /** @param {PointerEvent} event */
  move(event) {
    const { x, y } = this.at(event)
    const { drag } = this
    if (!drag) return this.point({ x, y })
    drag.moved ||= Math.hypot(x - drag.x, y - drag.y) > CLICK
    if (!drag.moved) return undefined
    if (drag.kind === 'pan') {
      this.node.scrollTop = drag.top - (y - drag.y)
      const moved = (x - drag.x) / this.view().scale
      if (drag.x >= this.view().gutter) this.model.setWindow(drag.from - moved, drag.to - moved)
    } else {
      const whole = drag.kind === 'zoom'
      const [left, right] = [Math.min(x, drag.x), Math.max(x, drag.x)]
      const [top, bottom] = whole ? [RULER, this.size.height] : [Math.min(y, drag.y), Math.max(y, drag.y)]
      this.box = { x: left, y: top, width: right - left, height: bottom - top }
    }
    return this.redraw()
  }

  release() {
    const { drag, box, model } = this
    this.drag = null
    this.box = null
    this.dragged = Boolean(drag?.moved)
    this.letGo()
    if (!drag || !drag.moved) return
    if (box && drag.kind === 'zoom') model.setWindow(this.placeAt(box.x), this.placeAt(box.x + box.width))
    else if (box) this.selectBox(box)
    this.redraw()
  }

  /** @param {Box} box */
  selectBox({ x, y, width, height }) {
    const { scene } = this.model
    const { ruler, top } = this.view()
    if (!scene) return
    const heights = { top: y - ruler + top, bottom: y + height - ruler + top }
    this.model.select(spansIn(scene.rows, scene.placed, { from: this.placeAt(x), to: this.placeAt(x + width), ...heights }))
  }

  /** @param {MouseEvent} event */
  click(event) {
    if (this.dragged || event.detail > 1) return // the second of two: the first may have opened the details, and moved all
    const { x, y } = this.at(event)
    const { gutter } = this.view()
    this.hit = false
    if (x < gutter) {
      const band = this.bandAt(y)
      if (band && band.depth > 1) this.model.toggleBand(band)
      return
    }
    const rows = this.spansUnder(x, y)
    this.hit = rows.length > 0
    if (!(event.ctrlKey || event.metaKey)) this.model.select(Uint32Array.from(rows).sort())
    else if (rows.length) {
      const selected = new Set(this.model.selected)
      for (const row of rows) if (!selected.delete(row)) selected.add(row)
      this.model.select(Uint32Array.from(selected).sort())
    }
  }

  /** Show what is under the pointer. @param {{x: number, y: number} | null} at */
  point(at) {
    this.pointer = at
    const rows = at ? this.spansUnder(at.x, at.y) : []
    const hover = rows[0] ?? -1
    if (hover !== this.hover) this.redraw()
    this.hover = hover
    const lines = at ? this.tipOf(rows, at) : []
    this.tip.hidden = !lines.length
    if (!at || !lines.length) return
    this.tip.replaceChildren(...lines.map((line) => element('div', {}, line)))
    const { offsetWidth, offsetHeight } = this.tip
    const left = Math.min(at.x + 14, this.size.width - offsetWidth - 4)
    const top = Math.min(at.y + 16, this.size.height - offsetHeight - 4)
    Object.assign(this.tip.style, { left: `${Math.max(left, 0)}px`, top: `${Math.max(top, 0)}px` })
  }

  /**
   * What a tip says of these rows of the trace, or of a band's name.
   * @param {number[]} rows
   * @param {{x: number, y: number}} at
   */
  tipOf(rows, { x, y }) {
    const { trace, labels, steps } = this.model
    const band = x < this.view().gutter && y > RULER ? this.bandAt(y) : undefined
    if (band) return [oneLine(band.name), plural(band.depth, 'lane')]
    if (!trace || !rows.length) return []
    const [row] = rows
    const name = (/** @type {import('../model/trace.mjs').KeyColumn} */ { names, codes }) => oneLine(names[codes[row]])
    const label = labels.get(row)
    return [
      ...(rows.length > 1 ? [`${plural(rows.length, 'span')} in this pixel; the first:`] : []),
      `${name(trace.agent)} · ${name(trace.location)}`,
      ...(label ? [oneLine(label)] : []),
      `${moment(trace.start[row], 1e3, steps)} · ${duration(trace.end[row] - trace.start[row], steps)}`,
    ]
  }

  // Scrolling, and what stays in its place when the trace is renewed

  /** Keep in mind which band is at the upper edge. */
  keepTop() {
    const { scrollTop } = this.node
    const band = this.model.scene?.rows.bands.find(({ top, height }) => top + height + BAND_GAP > scrollTop)
    this.top = band && scrollTop > 0 ? { name: band.name, below: scrollTop - band.top } : null
  }

  /** Show a trace that was renewed: the band that was at the upper edge is there again. */
  renewed() {
    const { scene } = this.model
    if (!scene) return
    this.sizer.style.height = `${RULER + scene.rows.height}px` // else it cannot be scrolled so far
    const band = scene.rows.bands.find(({ name }) => name === this.top?.name)
    if (band && this.top) this.node.scrollTop = band.top + this.top.below
    this.hover = -1
    if (this.pointer) this.point(this.pointer)
    this.redraw()
  }

  /** @param {number} lines */
  scroll(lines) {
    this.node.scrollTop += lines * LANE
  }

  /** Scroll to a span. @param {number} row of the trace */
  scrollTo(row) {
    const { scene } = this.model
    if (!scene) return
    const top = scene.rows.rowTop[rowOf(scene, row)]
    const height = this.size.height - RULER
    if (top < this.node.scrollTop || top + LANE > this.node.scrollTop + height) this.node.scrollTop = top - height / 2
    this.redraw()
  }
}
