// Marks: what must be seen however many spans there are: instants, errors, open ends, and what stands out.

import { devicePixels, PALED, rowsInView } from './bars.mjs'
import { BAR, STRIP } from './layout.mjs'
import { marksOf } from './runs.mjs'
import { rowOf } from './scene.mjs'

/**
 * @typedef {import('./look.mjs').Look} Look
 * @typedef {import('./scene.mjs').Scene} Scene
 * @typedef {import('./layout.mjs').Band} Band
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
  /** @type {Record<'instants' | 'lit' | 'open' | 'errors', number[][]>} */
  const found = { instants: [], lit: [], open: [], errors: [] }
  for (const band of bands) {
    const { from, to } = rowsInView(view, band)
    for (let row = from; row < to; row++) {
      const y = view.ruler + rows.rowTop[row] - view.top
      const each = (/** @type {Uint32Array | undefined} */ positions, /** @type {number[][]} */ list) => positions?.length && marksOf(
        positions, start, first[row], first[row + 1], stretch,
        (position, x) => list.push([position, view.gutter + x / view.ratio, y, band.folded ? STRIP : BAR]))
      if (!band.folded) each(marks.instants, found.instants)
      if (!band.folded) each(marks.open, found.open)
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
  for (const [, x, y, height] of found.lit) fill(ctx, look.ink, x, y + height, 2, 2)
  for (const [, x, y] of found.errors) fill(ctx, look.error, x - 0.5, y - 2, 3, 4)
  for (const [position] of found.open) drawArrow(ctx, view, scene, position, look)
}

/** @param {CanvasRenderingContext2D} ctx @param {string} color @param {number[]} box */
function fill(ctx, color, ...[x, y, width, height]) {
  ctx.fillStyle = color
  ctx.fillRect(x, y, width, height)
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

/** An open end. @param {CanvasRenderingContext2D} ctx @param {View} view @param {Scene} scene @param {number} position @param {Look} look */
function drawArrow(ctx, view, scene, position, look) {
  const x = view.gutter + (scene.placed.end[position] - view.left) * view.scale
  const y = view.ruler + scene.rows.rowTop[rowOf(scene, scene.placed.order[position])] - view.top
  ctx.fillStyle = look.ink
  ctx.beginPath()
  ctx.moveTo(x + 6, y + BAR / 2)
  ctx.lineTo(x, y + 1)
  ctx.lineTo(x, y + BAR - 1)
  ctx.fill()
}
