// Marks: what must be seen however many spans there are: instants, errors, open ends, and what stands out.

import { devicePixels, PALED, rowsInView } from './bars.mjs'
import { BAR, STRIP } from '../model/layout.mjs'
import { marksOf, WIDE } from './runs.mjs'
import { firstAtLeast } from '../model/search.mjs'

/**
 * @typedef {import('./look.mjs').Look} Look
 * @typedef {import('../model/scene.mjs').Scene} Scene
 * @typedef {import('../model/layout.mjs').Band} Band
 * @typedef {import('./drawing.mjs').View} View
 */

const MOST_DIAMONDS = 400

/**
 * Errors, instants, what stands out, and open ends: what must be seen however many spans there are.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Scene} scene
 * @param {Band[]} bands
 * @param {Look} look
 */
export function drawMarks(ctx, view, scene, bands, look) {
  const stretch = devicePixels(view, Math.round(view.width * view.ratio))
  const { placed: { start, first }, rows, marks, tint, hue, lit } = scene
  /** @type {Record<'instants' | 'lit' | 'errors', number[][]>} */
  const found = { instants: [], lit: [], errors: [] }
  for (const band of bands) {
    const { from, to } = rowsInView(view, band)
    for (let row = from; row < to; row++) {
      const y = view.ruler + rows.rowTop[row] - view.top
      const each = (/** @type {Uint32Array | undefined} */ positions, /** @type {number[][]} */ list) => positions?.length && marksOf(
        positions, start, first[row], first[row + 1], stretch,
        (position, x) => list.push([position, view.gutter + x / view.ratio, y, band.folded ? STRIP : BAR]))
      if (!band.folded) each(marks.instants, found.instants)
      if (!band.folded) drawArrows(ctx, view, scene, row, look)
      each(lit?.positions, found.lit)
      each(marks.errors, found.errors)
    }
  }
  const diamonds = found.instants.length <= MOST_DIAMONDS
  for (const [position, x, y] of found.instants) {
    ctx.globalAlpha = lit && !lit.flags[position] ? PALED : 1
    ctx.fillStyle = hue.colors[tint[position]]
    if (diamonds) drawDiamond(ctx, x, y + BAR / 2, look)
    else ctx.fillRect(x, y, 1, BAR)
  }
  ctx.globalAlpha = 1
  const widthOf = (/** @type {number} */ position) => (scene.placed.end[position] - start[position]) * view.scale
  for (const [position, x, y, height] of found.lit) if (widthOf(position) < WIDE) fill(ctx, look.ink, x, y + height, 2, 2)
  for (const [position, x, y, height] of found.errors) {
    fill(ctx, look.error, x - 0.5, y - 2, 3, 4)
    if (widthOf(position) >= WIDE && height === BAR) border(ctx, look.error, x, y, widthOf(position), height)
  }
}

/** @param {CanvasRenderingContext2D} ctx @param {string} color @param {number[]} box */
function fill(ctx, color, ...[x, y, width, height]) {
  ctx.fillStyle = color
  ctx.fillRect(x, y, width, height)
}

/** @param {CanvasRenderingContext2D} ctx @param {string} color @param {number[]} box */
function border(ctx, color, ...[x, y, width, height]) {
  ctx.strokeStyle = color
  ctx.lineWidth = 2
  ctx.strokeRect(x + 1, y + 1, Math.min(width, 1e5) - 2, height - 2)
}

/** @param {CanvasRenderingContext2D} ctx @param {number} x @param {number} y @param {Look} look */
function drawDiamond(ctx, x, y, look) {
  ctx.beginPath()
  ctx.moveTo(x, y - 6)
  for (const [dx, dy] of [[5, 0], [0, 6], [-5, 0]]) ctx.lineTo(x + dx, y + dy)
  ctx.closePath()
  ctx.fill()
  ctx.lineWidth = 1
  ctx.strokeStyle = look.paper
  ctx.stroke()
}

/**
 * The open ends of a row that are in view.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Scene} scene
 * @param {number} row of the layout
 * @param {Look} look
 */
function drawArrows(ctx, { gutter, ruler, left, scale, top, width }, { placed: { end, first }, marks: { open }, rows }, row, look) {
  const y = ruler + rows.rowTop[row] - top
  ctx.fillStyle = look.ink
  for (let number = firstAtLeast(open, 0, open.length, first[row]); open[number] < first[row + 1]; number++) {
    const x = (end[open[number]] - left) * scale
    if (x < 0 || x > width) continue
    ctx.beginPath()
    ctx.moveTo(gutter + x + 6, y + BAR / 2)
    ctx.lineTo(gutter + x, y + 1)
    ctx.lineTo(gutter + x, y + BAR - 1)
    ctx.fill()
  }
}
