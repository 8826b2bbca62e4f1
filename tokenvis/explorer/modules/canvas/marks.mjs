// Marks: instants, errors, open ends and highlighted spans, which must stay visible at any number of spans.

import { devicePixelGrid, DIMMED_OPACITY, rowsInView } from './bars.mjs'
import { BAR_HEIGHT, STRIP_HEIGHT } from '../model/layout.mjs'
import { forEachMark, MIN_BAR_WIDTH } from './runs.mjs'
import { firstAtLeast } from '../model/search.mjs'

/**
 * @typedef {import('./theme.mjs').Theme} Theme
 * @typedef {import('../model/scene.mjs').Scene} Scene
 * @typedef {import('../model/layout.mjs').Band} Band
 * @typedef {import('./drawing.mjs').View} View
 */

const MAX_DIAMONDS = 400

/**
 * Draws the marks of all visible rows: instants, errors, highlighted spans and open ends.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Scene} scene
 * @param {Band[]} bands
 * @param {Theme} theme
 */
export function drawMarks(ctx, view, scene, bands, theme) {
  const grid = devicePixelGrid(view, Math.round(view.width * view.ratio))
  const { placed: { start, first }, layoutRows, marks, colorIndex, hueColumn, highlight } = scene
  /** @type {Record<'instants' | 'highlight' | 'errors', number[][]>} */
  const marked = { instants: [], highlight: [], errors: [] }
  for (const band of bands) {
    const { from, to } = rowsInView(view, band)
    for (let layoutRow = from; layoutRow < to; layoutRow++) {
      const y = view.ruler + layoutRows.rowTop[layoutRow] - view.top
      const collect = (
        /** @type {Uint32Array | undefined} */ positions, /** @type {number[][]} */ list,
      ) => positions?.length && forEachMark(
        positions, start, first[layoutRow], first[layoutRow + 1], grid,
        (position, x) => list.push([position, view.gutter + x / view.ratio, y, band.folded ? STRIP_HEIGHT : BAR_HEIGHT]))
      if (!band.folded) collect(marks.instants, marked.instants)
      if (!band.folded) drawOpenEnds(ctx, view, scene, layoutRow, theme)
      collect(highlight?.positions, marked.highlight)
      collect(marks.errors, marked.errors)
    }
  }
  const diamonds = marked.instants.length <= MAX_DIAMONDS
  for (const [position, x, y] of marked.instants) {
    ctx.globalAlpha = highlight && !highlight.flags[position] ? DIMMED_OPACITY : 1
    ctx.fillStyle = hueColumn.colors[colorIndex[position]]
    if (diamonds) drawDiamond(ctx, x, y + BAR_HEIGHT / 2, theme)
    else ctx.fillRect(x, y, 1, BAR_HEIGHT)
  }
  ctx.globalAlpha = 1
  const widthOf = (/** @type {number} */ position) => (scene.placed.end[position] - start[position]) * view.scale
  for (const [position, x, y, height] of marked.highlight) if (widthOf(position) < MIN_BAR_WIDTH) fillBox(
    ctx, theme.text, x, y + height, 2, 2)
  for (const [position, x, y, height] of marked.errors) {
    fillBox(ctx, theme.error, x - 0.5, y - 2, 3, 4)
    if (widthOf(position) >= MIN_BAR_WIDTH && height === BAR_HEIGHT) strokeBox(ctx, theme.error, x, y, widthOf(position), height)
  }
}

/** @param {CanvasRenderingContext2D} ctx @param {string} color @param {number[]} box */
function fillBox(ctx, color, ...[x, y, width, height]) {
  ctx.fillStyle = color
  ctx.fillRect(x, y, width, height)
}

/** @param {CanvasRenderingContext2D} ctx @param {string} color @param {number[]} box */
function strokeBox(ctx, color, ...[x, y, width, height]) {
  ctx.strokeStyle = color
  ctx.lineWidth = 2
  ctx.strokeRect(x + 1, y + 1, Math.min(width, 1e5) - 2, height - 2)
}

/** @param {CanvasRenderingContext2D} ctx @param {number} x @param {number} y @param {Theme} theme */
function drawDiamond(ctx, x, y, theme) {
  ctx.beginPath()
  ctx.moveTo(x, y - 6)
  for (const [dx, dy] of [[5, 0], [0, 6], [-5, 0]]) ctx.lineTo(x + dx, y + dy)
  ctx.closePath()
  ctx.fill()
  ctx.lineWidth = 1
  ctx.strokeStyle = theme.background
  ctx.stroke()
}

/**
 * Draws the visible open ends of a layout row.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Scene} scene
 * @param {number} layoutRow
 * @param {Theme} theme
 */
function drawOpenEnds(ctx, { gutter, ruler, left, scale, top, width }, scene, layoutRow, theme) {
  const { placed: { end, first }, marks: { open }, layoutRows } = scene
  const y = ruler + layoutRows.rowTop[layoutRow] - top
  ctx.fillStyle = theme.text
  for (let index = firstAtLeast(open, 0, open.length, first[layoutRow]); open[index] < first[layoutRow + 1]; index++) {
    const x = (end[open[index]] - left) * scale
    if (x < 0 || x > width) continue
    ctx.beginPath()
    ctx.moveTo(gutter + x + 6, y + BAR_HEIGHT / 2)
    ctx.lineTo(gutter + x, y + 1)
    ctx.lineTo(gutter + x, y + BAR_HEIGHT - 1)
    ctx.fill()
  }
}
