// Drawing: one frame of the scene on a canvas. Gutter, ruler and bars use the same view, so they stay aligned.

import { drawAxis, drawGutter, drawRuler } from './axis.mjs'
import { drawRows } from './bars.mjs'
import { fitText } from './ellipsis.mjs'
import { BAR_HEIGHT, STRIP_HEIGHT } from '../model/layout.mjs'
import { drawMarks } from './marks.mjs'
import { movesIn } from '../model/moves.mjs'
import { layoutRowOf } from '../model/scene.mjs'
import { plural } from '../model/text.mjs'
import { textColorOn } from './theme.mjs'

/**
 * @typedef {import('./theme.mjs').Theme} Theme
 * @typedef {import('../model/scene.mjs').Scene} Scene
 * @typedef {import('../model/layout.mjs').Band} Band
 * @typedef {import('../model/moves.mjs').MoveIndex} MoveIndex
 * @typedef {{left: number, scale: number, width: number, height: number, top: number, gutter: number, ruler: number,
 *   ratio: number}} View axis time at the left edge of the body; CSS pixels per µs; size of the body; its scroll offset; width of
 *   the gutter, height of the ruler; device pixels per CSS pixel
 * @typedef {{x: number, y: number, width: number, height: number}} Box in CSS pixels of the canvas
 * @typedef {import('./bars.mjs').Bar} Bar
 * @typedef {{moveIndex: MoveIndex | null, showMoves: boolean, labelVariants: (row: number) => string[],
 *   labels: Map<number, string>, focus: number, hover: number, selectionBox: Box | null, hasStepTimes: boolean, notes: string[],
 *   missingLabels: number[]}} Overlay `focus` and `hover` are rows of the trace, or -1; drawing a frame adds to `notes` what it
 *   omits, and to `missingLabels` the rows whose labels are not loaded
 */

const MAX_LABELS = 700
const MIN_LABELLED_WIDTH = 30 // pixels

/**
 * Draws one frame.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Scene} scene
 * @param {Overlay} overlay
 * @param {Theme} theme
 */
export function drawFrame(ctx, view, scene, overlay, theme) {
  const { ratio, gutter, ruler, width, height } = view
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0)
  ctx.fillStyle = theme.background
  ctx.fillRect(0, 0, gutter + width, ruler + height)
  ctx.save()
  ctx.beginPath()
  ctx.rect(gutter, ruler, width, height)
  ctx.clip()
  const inView = bandsInView(view, scene)
  drawBandBackgrounds(ctx, view, inView, theme)
  const ticks = drawAxis(ctx, view, scene, overlay.hasStepTimes, theme)
  const bars = drawRows(ctx, view, scene, inView, theme)
  drawMarks(ctx, view, scene, inView, theme)
  if (overlay.moveIndex && overlay.showMoves) drawMoves(ctx, view, scene, overlay.moveIndex, overlay, theme)
  drawLabels(ctx, bars, gutter, scene, overlay, theme)
  drawOutline(ctx, view, scene, overlay.hover, theme.muted, 1)
  drawOutline(ctx, view, scene, overlay.focus, theme.text, 2)
  if (overlay.selectionBox) drawBox(ctx, overlay.selectionBox, theme)
  ctx.restore()
  drawGutter(ctx, view, scene, inView, theme)
  drawRuler(ctx, view, scene, ticks, overlay.hasStepTimes, theme)
}

/** @param {View} view @param {Scene} scene @returns {Band[]} */
function bandsInView({ top, height }, { layoutRows }) {
  return layoutRows.bands.filter((band) => band.top < top + height && band.top + band.height > top)
}

/** @param {CanvasRenderingContext2D} ctx @param {View} view @param {Band[]} bands @param {Theme} theme */
function drawBandBackgrounds(ctx, { gutter, ruler, width, top }, bands, theme) {
  ctx.fillStyle = theme.band
  for (const band of bands) ctx.fillRect(gutter, ruler + band.top - 2 - top, width, band.height + 2)
}

/**
 * Draws a curve for each visible move, unless there are too many to follow.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Scene} scene
 * @param {MoveIndex} moveIndex
 * @param {Overlay} overlay
 * @param {Theme} theme
 */
function drawMoves(ctx, view, scene, moveIndex, { notes }, theme) {
  const { left, scale, width, gutter, ruler, top } = view
  const { trace, hueColumn, highlight, layoutRows, shown } = scene
  const { n, moves } = movesIn(moveIndex, shown, left, left + width / scale, Math.max(width / 3, 100))
  if (n > moves.length) notes.push(`${plural(n, 'move')} not drawn: zoom in`)
  const middle = (/** @type {number} */ row) => {
    const layoutRow = layoutRowOf(scene, row)
    const { folded } = layoutRows.bands[layoutRows.rowBand[layoutRow]]
    return ruler + layoutRows.rowTop[layoutRow] + (folded ? STRIP_HEIGHT : BAR_HEIGHT) / 2 - top
  }
  ctx.lineWidth = 1.5
  ctx.globalAlpha = highlight ? 0.25 : 0.6
  for (const move of moves) {
    const [x0, x1] = [moveIndex.leftAt[move], moveIndex.arrivedAt[move]].map((axisTime) => gutter + (axisTime - left) * scale)
    const [y0, y1] = [middle(moveIndex.from[move]), middle(moveIndex.to[move])]
    ctx.strokeStyle = hueColumn === trace.agent ? hueColumn.colors[hueColumn.codes[moveIndex.to[move]]] : theme.muted
    ctx.beginPath()
    ctx.moveTo(x0, y0)
    ctx.bezierCurveTo((x0 + x1) / 2, y0, (x0 + x1) / 2, y1, x1, y1)
    ctx.stroke()
  }
  ctx.globalAlpha = 1
}

/**
 * Draws labels on bars that are wide enough, truncated with an ellipsis.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Bar[]} bars
 * @param {number} gutter
 * @param {Scene} scene
 * @param {Overlay} overlay
 * @param {Theme} theme
 */
function drawLabels(
  ctx, bars, gutter, { placed: { order }, hueColumn, colorIndex, highlight }, { labelVariants, labels, missingLabels, notes }, theme) {
  const labelled = bars.filter(({ width }) => width >= MIN_LABELLED_WIDTH)
  if (labelled.length > MAX_LABELS) notes.push(`${plural(labelled.length - MAX_LABELS, 'label')} not drawn`)
  ctx.font = `11px ${theme.font}`
  ctx.textBaseline = 'middle'
  ctx.textAlign = 'left'
  ctx.direction = 'ltr'
  for (const { position, x, y, width } of labelled.slice(0, MAX_LABELS)) {
    const row = order[position]
    if (!labels.has(row)) missingLabels.push(row)
    const dimmed = highlight && !highlight.flags[position]
    ctx.fillStyle = dimmed ? theme.muted : textColorOn(hueColumn.colors[colorIndex[position]])
    const inset = Math.max(x, gutter) + 5
    ctx.fillText(fitText(ctx, x + width - inset - 3, ...labelVariants(row)), inset, y + BAR_HEIGHT / 2 + 0.5)
  }
}

/**
 * Draws an outline around a span.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Scene} scene
 * @param {number} row
 * @param {string} color
 * @param {number} lineWidth
 */
function drawOutline(ctx, { left, scale, gutter, ruler, top }, scene, row, color, lineWidth) {
  const { trace, layoutRows, spanAxisTimes, shown } = scene
  if (row < 0 || !shown[trace.agent.codes[row]]) return
  const layoutRow = layoutRowOf(scene, row)
  const { folded } = layoutRows.bands[layoutRows.rowBand[layoutRow]]
  const x = Math.max(gutter + (spanAxisTimes.start[row] - left) * scale, -10)
  const width = Math.max((spanAxisTimes.end[row] - left) * scale + gutter - x, 3)
  ctx.strokeStyle = color
  ctx.lineWidth = lineWidth
  const y = ruler + layoutRows.rowTop[layoutRow] - top - 1
  ctx.strokeRect(x - 1, y, Math.min(width, 1e5) + 1.6, (folded ? STRIP_HEIGHT : BAR_HEIGHT) + 2)
}

/** @param {CanvasRenderingContext2D} ctx @param {Box} box @param {Theme} theme */
function drawBox(ctx, { x, y, width, height }, theme) {
  ctx.fillStyle = theme.accent
  ctx.globalAlpha = 0.2
  ctx.fillRect(x, y, width, height)
  ctx.globalAlpha = 1
  ctx.strokeStyle = theme.accent
  ctx.lineWidth = 1
  ctx.strokeRect(x, y, width, height)
}
