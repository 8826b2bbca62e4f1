// Drawing: one frame of the scene on a canvas. Gutter, ruler and bars are drawn by one view, so they cannot drift apart.

import { drawAxis, drawGutter, drawRuler } from './axis.mjs'
import { drawRows } from './bars.mjs'
import { BAR, STRIP } from '../model/layout.mjs'
import { fitted } from './lettering.mjs'
import { inkOn } from './look.mjs'
import { drawMarks } from './marks.mjs'
import { movesIn } from '../model/moves.mjs'
import { rowOf } from '../model/scene.mjs'
import { plural } from '../model/text.mjs'

/**
 * @typedef {import('./look.mjs').Look} Look
 * @typedef {import('../model/scene.mjs').Scene} Scene
 * @typedef {import('../model/layout.mjs').Band} Band
 * @typedef {import('../model/moves.mjs').Routes} Routes
 * @typedef {{left: number, scale: number, width: number, height: number, top: number, gutter: number, ruler: number,
 *   ratio: number}} View the place at the left edge of the body; CSS pixels a µs; size of the body; how far it is scrolled;
 *   widths of gutter and ruler; device pixels a CSS pixel
 * @typedef {{x: number, y: number, width: number, height: number}} Box CSS pixels of the canvas
 * @typedef {import('./bars.mjs').Bar} Bar
 * @typedef {{routes: Routes | null, showMoves: boolean, labelOf: (row: number) => string[], labels: Map<number, string>,
 *   focus: number, hover: number, box: Box | null, steps: boolean, notes: string[], wanted: number[]}} Overlay `focus` and `hover` are rows of the trace, or -1;
 *   a frame writes to `notes` what it left out, and to `wanted` the rows whose labels it lacks
 */

const MOST_LABELS = 700
const LABEL_ROOM = 30 // pixels

/**
 * Draw one frame.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Scene} scene
 * @param {Overlay} overlay
 * @param {Look} look
 */
export function drawFrame(ctx, view, scene, overlay, look) {
  const { ratio, gutter, ruler, width, height } = view
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0)
  ctx.fillStyle = look.paper
  ctx.fillRect(0, 0, gutter + width, ruler + height)
  ctx.save()
  ctx.beginPath()
  ctx.rect(gutter, ruler, width, height)
  ctx.clip()
  const inView = bandsInView(view, scene)
  drawShades(ctx, view, inView, look)
  const ticks = drawAxis(ctx, view, scene, overlay.steps, look)
  const bars = drawRows(ctx, view, scene, inView, look)
  drawMarks(ctx, view, scene, inView, look)
  if (overlay.routes && overlay.showMoves) drawMoves(ctx, view, scene, overlay.routes, overlay, look)
  drawLabels(ctx, bars, gutter, scene, overlay, look)
  drawOutline(ctx, view, scene, overlay.hover, look.quiet, 1)
  drawOutline(ctx, view, scene, overlay.focus, look.ink, 2)
  if (overlay.box) drawBox(ctx, overlay.box, look)
  ctx.restore()
  drawGutter(ctx, view, inView, look)
  drawRuler(ctx, view, scene, ticks, overlay.steps, look)
}

/** @param {View} view @param {Scene} scene @returns {Band[]} */
function bandsInView({ top, height }, { rows }) {
  return rows.bands.filter((band) => band.top < top + height && band.top + band.height > top)
}

/** @param {CanvasRenderingContext2D} ctx @param {View} view @param {Band[]} bands @param {Look} look */
function drawShades(ctx, { gutter, ruler, width, top }, bands, look) {
  ctx.fillStyle = look.shade
  for (const band of bands) ctx.fillRect(gutter, ruler + band.top - 2 - top, width, band.height + 2)
}

/**
 * A curve for each move in view, where these are no more than anybody could follow.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Scene} scene
 * @param {Routes} routes
 * @param {Overlay} overlay
 * @param {Look} look
 */
function drawMoves(ctx, view, scene, routes, { notes }, look) {
  const { left, scale, width, gutter, ruler, top } = view
  const { trace, hue, lit, rows, shown } = scene
  const { n, moves } = movesIn(routes, shown, left, left + width / scale, Math.max(width / 3, 100))
  if (n > moves.length) notes.push(`${plural(n, 'move')} not drawn: zoom in`)
  const middle = (/** @type {number} */ row) => {
    const place = rowOf(scene, row)
    return ruler + rows.rowTop[place] + (rows.bands[rows.rowBand[place]].folded ? STRIP : BAR) / 2 - top
  }
  ctx.lineWidth = 1.5
  ctx.globalAlpha = lit ? 0.25 : 0.6
  for (const move of moves) {
    const [x0, x1] = [routes.left[move], routes.arrived[move]].map((place) => gutter + (place - left) * scale)
    const [y0, y1] = [middle(routes.from[move]), middle(routes.to[move])]
    ctx.strokeStyle = hue === trace.agent ? hue.colors[hue.codes[routes.to[move]]] : look.quiet
    ctx.beginPath()
    ctx.moveTo(x0, y0)
    ctx.bezierCurveTo((x0 + x1) / 2, y0, (x0 + x1) / 2, y1, x1, y1)
    ctx.stroke()
  }
  ctx.globalAlpha = 1
}

/**
 * Names on bars that have room for one, cut by an ellipsis.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Bar[]} bars
 * @param {number} gutter
 * @param {Scene} scene
 * @param {Overlay} overlay
 * @param {Look} look
 */
function drawLabels(ctx, bars, gutter, { placed: { order }, hue, tint, lit }, { labelOf, labels, wanted, notes }, look) {
  const roomy = bars.filter(({ width }) => width >= LABEL_ROOM)
  if (roomy.length > MOST_LABELS) notes.push(`${plural(roomy.length - MOST_LABELS, 'label')} not drawn`)
  ctx.font = `11px ${look.font}`
  ctx.textBaseline = 'middle'
  ctx.textAlign = 'left'
  ctx.direction = 'ltr'
  for (const { position, x, y, width } of roomy.slice(0, MOST_LABELS)) {
    const row = order[position]
    if (!labels.has(row)) wanted.push(row)
    const paled = lit && !lit.flags[position]
    ctx.fillStyle = paled ? look.quiet : inkOn(hue.colors[tint[position]])
    const inset = Math.max(x, gutter) + 5
    ctx.fillText(fitted(ctx, x + width - inset - 3, ...labelOf(row)), inset, y + BAR / 2 + 0.5)
  }
}

/**
 * A line around a span.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Scene} scene
 * @param {number} row
 * @param {string} color
 * @param {number} thick
 */
function drawOutline(ctx, { left, scale, gutter, ruler, top }, scene, row, color, thick) {
  const { trace, rows, places, shown } = scene
  if (row < 0 || !shown[trace.agent.codes[row]]) return
  const place = rowOf(scene, row)
  const { folded } = rows.bands[rows.rowBand[place]]
  const x = Math.max(gutter + (places.start[row] - left) * scale, -10)
  const width = Math.max((places.end[row] - left) * scale + gutter - x, 3)
  ctx.strokeStyle = color
  ctx.lineWidth = thick
  ctx.strokeRect(x - 1, ruler + rows.rowTop[place] - top - 1, Math.min(width, 1e5) + 1.6, (folded ? STRIP : BAR) + 2)
}

/** @param {CanvasRenderingContext2D} ctx @param {Box} box @param {Look} look */
function drawBox(ctx, { x, y, width, height }, look) {
  ctx.fillStyle = look.accent
  ctx.globalAlpha = 0.2
  ctx.fillRect(x, y, width, height)
  ctx.globalAlpha = 1
  ctx.strokeStyle = look.accent
  ctx.lineWidth = 1
  ctx.strokeRect(x, y, width, height)
}
