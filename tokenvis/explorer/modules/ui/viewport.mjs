// The viewport: the canvas, the visible part of the scene, and pointer and wheel input.
//
// The canvas has the height of the visible area and is sticky, while a sizer with the height of all rows scrolls behind it. So
// the browser does the scrolling, and continues with the page at both ends.

import { element } from './dom.mjs'
import { drawFrame } from '../canvas/drawing.mjs'
import { layoutRowAt, spansAt, spansIn } from '../canvas/hits.mjs'
import { BAND_GAP, LANE_HEIGHT } from '../model/layout.mjs'
import { layoutRowOf } from '../model/scene.mjs'
import { formatDuration, formatTime, oneLine, plural } from '../model/text.mjs'
import { themeOf } from '../canvas/theme.mjs'

/**
 * @typedef {import('../model/model.mjs').Model} Model
 * @typedef {import('../canvas/drawing.mjs').View} View
 * @typedef {{x: number, y: number, width: number, height: number}} Box
 * @typedef {{kind: 'pan' | 'box' | 'zoom', x: number, y: number, from: number, to: number, top: number, moved: boolean}} Drag
 */

export const RULER_HEIGHT = 26
const INSET = 6 // pixels on both sides of the window, so that its first and last span do not touch the edge
const MAX_CLICK_MOVE = 4 // pixels that the pointer may move during a click

export class Viewport {
  /**
   * @param {Model} model
   * @param {HTMLElement} root its style sheet defines the theme
   * @param {(notes: string[]) => void} showNotes receives what a frame omits
   * @param {AbortSignal} signal
   */
  constructor(model, root, showNotes, signal) {
    this.model = model
    this.root = root
    this.showNotes = showNotes
    this.canvas = element('canvas', { tabindex: '0', role: 'application', class: 'tv-canvas' })
    this.sizer = element('div', { class: 'tv-sizer' }, this.canvas)
    this.node = element('div', { class: 'tv-scroll' }, this.sizer)
    this.tooltip = element('div', { class: 'tv-tip', role: 'tooltip', hidden: true })
    this.message = element('div', { class: 'tv-message', role: 'status' })
    this.hover = -1
    this.box = /** @type {Box | null} */ (null)
    this.drag = /** @type {Drag | null} */ (null)
    this.wasDragged = false // whether the last press was a drag, and not a click
    this.clickedSpan = false // whether the last click was on a span
    this.endDrag = () => {} // resolves `model.dragging`
    this.pointer = /** @type {{x: number, y: number} | null} */ (null)
    this.scrollAnchor = /** @type {{name: string, below: number} | null} */ (null) // band at the top edge, during a renewal
    this.frame = 0
    this.theme = themeOf(root)
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
    const on = (/** @type {string} */ name, /** @type {(event: any) => void} */ handler) => {
      canvas.addEventListener(name, handler.bind(this), { signal, passive: false })
    }
    on('pointerdown', this.onPointerDown)
    on('pointermove', this.onPointerMove)
    on('pointerup', this.onPointerUp)
    on('pointercancel', () => {
      this.drag = null
      this.endDrag()
    })
    on('pointerleave', () => this.hoverAt(null))
    on('click', this.onClick)
    on('dblclick', () => this.clickedSpan && this.model.fitSelection())
    on('wheel', this.onWheel)
    this.node.addEventListener('scroll', () => this.redraw(), { signal })
    this.model.addEventListener('renewing', () => this.saveScrollAnchor(), { signal })
    this.model.addEventListener('reveal', (event) => this.scrollTo(/** @type {CustomEvent} */ (event).detail), { signal })
  }

  // Frames

  /** Draws in the next animation frame. */
  redraw() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0
      this.draw()
    })
  }

  /** Reads the colours again after the page has changed its theme. */
  updateTheme() {
    this.theme = themeOf(this.root)
    this.redraw()
  }

  resize() {
    const { clientWidth, clientHeight } = this.node
    const ratio = devicePixelRatio || 1
    this.theme = themeOf(this.root) // an element has no computed style before it is in the page
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
      left: from - INSET / scale, scale, width, height: Math.max(this.size.height - RULER_HEIGHT, 1),
      top: this.node.scrollTop, gutter, ruler: RULER_HEIGHT, ratio: devicePixelRatio || 1,
    }
  }

  draw() {
    const { model, canvas } = this
    const { scene } = model
    const ctx = canvas.getContext('2d')
    this.updateMessage()
    if (!ctx || !scene || !this.size.width) return
    const begin = performance.now()
    this.sizer.style.height = `${RULER_HEIGHT + scene.layoutRows.height}px`
    const view = this.view()
    const overlay = {
      moveIndex: model.by === 'location_id' ? model.moveIndex : null,
      showMoves: model.showMoves, labelVariants: this.labelVariants.bind(this), labels: model.labels,
      focus: model.focus, hover: this.hover,
      selectionBox: this.box, hasStepTimes: model.hasStepTimes,
      notes: /** @type {string[]} */ ([]), missingLabels: /** @type {number[]} */ ([]),
    }
    drawFrame(ctx, view, scene, overlay, this.theme)
    this.showNotes(overlay.notes)
    const frameMs = performance.now() - begin
    this.root.dispatchEvent(new CustomEvent('tokenvis:frame', { bubbles: true, detail: { took: frameMs, view, n: scene.trace.n } }))
    if (overlay.missingLabels.length) setTimeout(() => model.fetchLabels(overlay.missingLabels), 0)
  }

  /** Updates the label of the canvas for screen readers, and the message that is shown without a scene. */
  updateMessage() {
    const { scene, trace, id, problem } = this.model
    const empty = id === null ? 'There are no spans.' : trace && !trace.n ? 'This trace has no spans.' : ''
    this.message.textContent = empty || (scene ? '' : problem || 'Loading …')
    this.message.hidden = Boolean(scene) && !empty
    const { n = 0, agent = { names: [] }, location = { names: [] } } = trace ?? {}
    const counted = [plural(n, 'span'), plural(agent.names.length, 'agent'), plural(location.names.length, 'location')]
    const counts = trace ? counted.join(', ') : ''
    const label = `Timeline of ${oneLine(id ?? 'no trace')}: ${counts}. Press ? for keyboard shortcuts.`
    if (this.canvas.getAttribute('aria-label') !== label) this.canvas.setAttribute('aria-label', label)
  }

  /** Possible labels of a bar, longest first. @param {number} row @returns {string[]} */
  labelVariants(row) {
    const { trace, labels, by, hasStepTimes } = this.model
    if (!trace) return []
    const other = by === 'agent_id' ? trace.location : trace.agent
    const name = oneLine(labels.get(row) || other.names[other.codes[row]])
    return [`${name} · ${formatDuration(trace.end[row] - trace.start[row], hasStepTimes)}`, name]
  }

  // Hit test

  /** The axis time at a horizontal position. @param {number} x CSS pixels of the canvas */
  axisTimeAt(x) {
    const { left, scale, gutter } = this.view()
    return left + (x - gutter) / scale
  }

  /** The rows of the trace under a point. @param {number} x @param {number} y @returns {number[]} */
  spansUnder(x, y) {
    const { scene } = this.model
    const { scale, gutter, ruler, top } = this.view()
    if (!scene || x < gutter || y < ruler) return []
    const [contentY, axisTime] = [y - ruler + top, this.axisTimeAt(x)]
    const layoutRow = layoutRowAt(scene.layoutRows, contentY)
    if (layoutRow < 0) return []
    if (scene.layoutRows.bands[scene.layoutRows.rowBand[layoutRow]].folded) {
      const pixel = { from: axisTime - 0.5 / scale, to: axisTime + 0.5 / scale, top: contentY, bottom: contentY }
      return Array.from(spansIn(scene.layoutRows, scene.placed, pixel))
    }
    const hit = spansAt(scene.placed, layoutRow, axisTime, scale)
    return hit ? Array.from(scene.placed.order.subarray(hit.from, hit.to)) : []
  }

  /** The band at a vertical position. @param {number} y */
  bandAt(y) {
    const { ruler, top } = this.view()
    const contentY = y - ruler + top
    return this.model.scene?.layoutRows.bands.find((band) => contentY >= band.top && contentY <= band.top + band.height)
  }

  /** @param {PointerEvent | WheelEvent | MouseEvent} event */
  canvasPoint(event) {
    const box = this.canvas.getBoundingClientRect()
    return { x: event.clientX - box.left, y: event.clientY - box.top }
  }

  // Pointer and wheel

  /** @param {WheelEvent} event */
  onWheel(event) {
    const line = event.deltaMode ? 16 : 1
    const [dx, dy] = [event.deltaX * line, event.deltaY * line]
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault()
      this.model.zoomBy(Math.exp(-dy * 0.002), this.axisTimeAt(Math.max(this.canvasPoint(event).x, this.view().gutter)))
    } else if (event.shiftKey || Math.abs(dx) > Math.abs(dy)) {
      event.preventDefault()
      this.model.panBy((event.shiftKey && !dx ? dy : dx) / this.view().width)
    }
  }

  /** @param {PointerEvent} event */
  onPointerDown(event) {
    if (event.button !== 0) return
    const { x, y } = this.canvasPoint(event)
    const { gutter } = this.view()
    this.canvas.focus({ preventScroll: true })
    this.canvas.setPointerCapture(event.pointerId)
    const kind = /** @type {Drag['kind']} */ (y < RULER_HEIGHT && x >= gutter ? 'zoom' : event.shiftKey ? 'box' : 'pan')
    this.drag = { kind, x, y, ...this.model.window, top: this.node.scrollTop, moved: false }
    this.model.dragging = new Promise((resolve) => {
      this.endDrag = () => {
        this.model.dragging = null
        resolve()
      }
    })
    this.tooltip.hidden = true
  }

  /** @param {PointerEvent} event */
  onPointerMove(event) {
    const { x, y } = this.canvasPoint(event)
    const { drag } = this
    if (!drag) return this.hoverAt({ x, y })
    drag.moved ||= Math.hypot(x - drag.x, y - drag.y) > MAX_CLICK_MOVE
    if (!drag.moved) return undefined
    if (drag.kind === 'pan') {
      this.node.scrollTop = drag.top - (y - drag.y)
      const moved = (x - drag.x) / this.view().scale
      if (drag.x >= this.view().gutter) this.model.setWindow(drag.from - moved, drag.to - moved)
    } else {
      const fullHeight = drag.kind === 'zoom'
      const [left, right] = [Math.min(x, drag.x), Math.max(x, drag.x)]
      const [top, bottom] = fullHeight ? [RULER_HEIGHT, this.size.height] : [Math.min(y, drag.y), Math.max(y, drag.y)]
      this.box = { x: left, y: top, width: right - left, height: bottom - top }
    }
    return this.redraw()
  }

  onPointerUp() {
    const { drag, box, model } = this
    this.drag = null
    this.box = null
    this.wasDragged = Boolean(drag?.moved)
    this.endDrag()
    if (!drag || !drag.moved) return
    if (box && drag.kind === 'zoom') model.setWindow(this.axisTimeAt(box.x), this.axisTimeAt(box.x + box.width))
    else if (box) this.selectBox(box)
    this.redraw()
  }

  /** @param {Box} box */
  selectBox({ x, y, width, height }) {
    const { scene } = this.model
    const { ruler, top } = this.view()
    if (!scene) return
    const range = { top: y - ruler + top, bottom: y + height - ruler + top }
    const times = { from: this.axisTimeAt(x), to: this.axisTimeAt(x + width) }
    this.model.select(spansIn(scene.layoutRows, scene.placed, { ...times, ...range }))
  }

  /** @param {MouseEvent} event */
  onClick(event) {
    if (this.wasDragged || event.detail > 1) return // a double click: its first click may have shifted the canvas
    const { x, y } = this.canvasPoint(event)
    const { gutter } = this.view()
    this.clickedSpan = false
    if (x < gutter) {
      const band = this.bandAt(y)
      if (band && band.nLanes > 1) this.model.toggleBand(band)
      return
    }
    const rows = this.spansUnder(x, y)
    this.clickedSpan = rows.length > 0
    if (!(event.ctrlKey || event.metaKey)) this.model.select(Uint32Array.from(rows).sort())
    else if (rows.length) {
      const selected = new Set(this.model.selected)
      for (const row of rows) if (!selected.delete(row)) selected.add(row)
      this.model.select(Uint32Array.from(selected).sort())
    }
  }

  /** Outlines the span under the pointer, and shows its tooltip. @param {{x: number, y: number} | null} point */
  hoverAt(point) {
    this.pointer = point
    const rows = point ? this.spansUnder(point.x, point.y) : []
    const hover = rows[0] ?? -1
    if (hover !== this.hover) this.redraw()
    this.hover = hover
    const lines = point ? this.tooltipLines(rows, point) : []
    this.tooltip.hidden = !lines.length
    if (!point || !lines.length) return
    this.tooltip.replaceChildren(...lines.map((line) => element('div', {}, line)))
    const { offsetWidth, offsetHeight } = this.tooltip
    const left = Math.min(point.x + 14, this.size.width - offsetWidth - 4)
    const top = Math.min(point.y + 16, this.size.height - offsetHeight - 4)
    Object.assign(this.tooltip.style, { left: `${Math.max(left, 0)}px`, top: `${Math.max(top, 0)}px` })
  }

  /**
   * The tooltip of some rows of the trace, or of a band name.
   * @param {number[]} rows
   * @param {{x: number, y: number}} point
   */
  tooltipLines(rows, { x, y }) {
    const { trace, labels, hasStepTimes } = this.model
    const band = x < this.view().gutter && y > RULER_HEIGHT ? this.bandAt(y) : undefined
    if (band) return [oneLine(band.name), plural(band.nLanes, 'lane')]
    if (!trace || !rows.length) return []
    const [row] = rows
    const name = (/** @type {import('../model/trace.mjs').KeyColumn} */ { names, codes }) => oneLine(names[codes[row]])
    const label = labels.get(row)
    const start = hasStepTimes ? formatTime(trace.origin + trace.start[row], 1, true) : formatTime(trace.start[row], 1e3)
    return [
      ...(rows.length > 1 ? [`${plural(rows.length, 'span')} in this pixel; the first:`] : []),
      `${name(trace.agent)} · ${name(trace.location)}`,
      ...(label ? [oneLine(label)] : []),
      `${start} · ${formatDuration(trace.end[row] - trace.start[row], hasStepTimes)}`,
    ]
  }

  // Scrolling, also while the trace is renewed

  /** Saves which band is at the top edge. */
  saveScrollAnchor() {
    const { scrollTop } = this.node
    const band = this.model.scene?.layoutRows.bands.find(({ top, height }) => top + height + BAND_GAP > scrollTop)
    this.scrollAnchor = band && scrollTop > 0 ? { name: band.name, below: scrollTop - band.top } : null
  }

  /** Shows a renewed trace, with the same band at the top edge. */
  showRenewedTrace() {
    const { scene } = this.model
    if (!scene) return
    this.sizer.style.height = `${RULER_HEIGHT + scene.layoutRows.height}px` // else the scroll position is clamped
    const band = scene.layoutRows.bands.find(({ name }) => name === this.scrollAnchor?.name)
    if (band && this.scrollAnchor) this.node.scrollTop = band.top + this.scrollAnchor.below
    this.hover = -1
    if (this.pointer) this.hoverAt(this.pointer)
    this.redraw()
  }

  /** @param {number} lines */
  scroll(lines) {
    this.node.scrollTop += lines * LANE_HEIGHT
  }

  /** Scrolls to a span. @param {number} row of the trace */
  scrollTo(row) {
    const { scene } = this.model
    if (!scene) return
    const top = scene.layoutRows.rowTop[layoutRowOf(scene, row)]
    const height = this.size.height - RULER_HEIGHT
    if (top < this.node.scrollTop || top + LANE_HEIGHT > this.node.scrollTop + height) this.node.scrollTop = top - height / 2
    this.redraw()
  }
}
