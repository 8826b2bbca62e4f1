// The time axis: ruler, grid lines, zero line and folded gaps; and the gutter with the band names.

import { fitNames } from './ellipsis.mjs'
import { BAND_GAP } from '../model/layout.mjs'
import { formatDuration, plural } from '../model/text.mjs'
import { ticksOf } from './ticks.mjs'
import { foldsOf, toAxisTime } from '../model/timemap.mjs'

/**
 * @typedef {import('./theme.mjs').Theme} Theme
 * @typedef {import('../model/scene.mjs').Scene} Scene
 * @typedef {import('../model/layout.mjs').Band} Band
 * @typedef {import('./drawing.mjs').View} View
 * @typedef {{x: number, label: string}} Tick
 */

/**
 * Draws the grid lines, the zero line and the folded gaps behind the bars, and returns the ticks.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Scene} scene
 * @param {boolean} hasStepTimes
 * @param {Theme} theme
 * @returns {Tick[]}
 */
export function drawAxis(ctx, view, { map, trace }, hasStepTimes, theme) {
  const { left, scale, gutter, ruler, height } = view
  const xOf = (/** @type {number} */ axisTime) => gutter + (axisTime - left) * scale
  const ticks = ticksOf(map, view, hasStepTimes, trace.origin).map(({ axisTime, label }) => ({ x: xOf(axisTime), label }))
  ctx.fillStyle = theme.line
  for (const { x } of ticks) ctx.fillRect(x - 0.5, ruler, 1, height)
  ctx.fillStyle = theme.muted
  ctx.fillRect(xOf(toAxisTime(map, 0)) - 0.5, ruler, 1, height)
  for (const { from, to } of foldsOf(map)) drawFold(ctx, xOf(from), xOf(to), view, theme)
  return ticks
}

/**
 * Draws a folded gap.
 * @param {CanvasRenderingContext2D} ctx
 * @param {number} x0
 * @param {number} x1
 * @param {View} view
 * @param {Theme} theme
 */
function drawFold(ctx, x0, x1, { gutter, ruler, width, height }, theme) {
  if (x1 < gutter || x0 > gutter + width) return
  ctx.save()
  ctx.beginPath()
  ctx.rect(x0, ruler, x1 - x0, height)
  ctx.clip()
  ctx.fillStyle = theme.background
  ctx.fillRect(x0, ruler, x1 - x0, height)
  ctx.strokeStyle = theme.line
  ctx.lineWidth = 1
  ctx.beginPath()
  for (let x = Math.max(x0, gutter) - height; x < Math.min(x1, gutter + width); x += 7) {
    ctx.moveTo(x, ruler + height)
    ctx.lineTo(x + height, ruler)
  }
  ctx.stroke()
  ctx.restore()
}

/**
 * Draws the ruler above the body: tick labels and the durations of folded gaps.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Scene} scene
 * @param {Tick[]} ticks
 * @param {boolean} hasStepTimes
 * @param {Theme} theme
 */
export function drawRuler(ctx, { left, scale, gutter, ruler, width }, { map }, ticks, hasStepTimes, theme) {
  ctx.fillStyle = theme.background
  ctx.fillRect(0, 0, gutter + width, ruler)
  ctx.fillStyle = theme.line
  ctx.fillRect(0, ruler - 1, gutter + width, 1)
  ctx.save()
  ctx.beginPath()
  ctx.rect(gutter, 0, width, ruler)
  ctx.clip()
  ctx.font = `11px ${theme.font}`
  ctx.textBaseline = 'middle'
  const foldLabels = foldsOf(map).map(({ from, to, lengthUs }) => {
    return drawFoldLabel(
      ctx, (from - left) * scale + gutter, (to - left) * scale + gutter, formatDuration(lengthUs, hasStepTimes), ruler, theme)
  })
  ctx.textAlign = 'left'
  for (const { x, label } of ticks) {
    ctx.fillStyle = theme.muted
    ctx.fillRect(x - 0.5, ruler - 6, 1, 6)
    const labelWidth = ctx.measureText(label).width
    const begin = x + 4 + labelWidth > gutter + width ? x - 4 - labelWidth : x + 4
    if (!foldLabels.some(([from, to]) => begin < to && begin + labelWidth > from)) ctx.fillText(label, begin, ruler / 2 - 1)
  }
  ctx.restore()
}

/**
 * Draws the duration of a folded gap above it, and returns the horizontal range of the label.
 * @param {CanvasRenderingContext2D} ctx
 * @param {number} x0
 * @param {number} x1
 * @param {string} label
 * @param {number} ruler
 * @param {Theme} theme
 * @returns {[number, number]}
 */
function drawFoldLabel(ctx, x0, x1, label, ruler, theme) {
  const [center, labelWidth] = [(x0 + x1) / 2, Math.max(ctx.measureText(label).width + 8, x1 - x0)]
  ctx.fillStyle = theme.muted
  ctx.textAlign = 'center'
  ctx.fillText(label, center, ruler / 2 - 1)
  return [center - labelWidth / 2, center + labelWidth / 2]
}

/**
 * Draws the band names, each next to the visible part of its band.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Scene} scene
 * @param {Band[]} bands those in view
 * @param {Theme} theme
 */
export function drawGutter(ctx, { gutter, ruler, top, height }, { packing }, bands, theme) {
  ctx.fillStyle = theme.background
  ctx.fillRect(0, ruler, gutter, height)
  ctx.fillStyle = theme.line
  ctx.fillRect(gutter - 1, ruler, 1, height)
  ctx.save()
  ctx.beginPath()
  ctx.rect(0, ruler, gutter - 1, height)
  ctx.clip()
  ctx.textAlign = 'left'
  ctx.textBaseline = 'middle'
  const nameFont = `12px ${theme.font}`
  ctx.font = nameFont
  const names = fitNames(ctx, gutter - 28, packing.column.names)
  for (const band of bands) {
    const from = Math.max(band.top - top, 0)
    const to = band.top + band.height - top
    const y = ruler + Math.min(from + 8, to - 8)
    ctx.fillStyle = theme.muted
    ctx.font = `9px ${theme.font}`
    if (band.nLanes > 1) ctx.fillText(band.folded ? '▶' : '▼', 6, y)
    ctx.font = nameFont
    ctx.fillStyle = theme.text
    ctx.fillText(names[band.code], 20, y)
    if (to - from < 34) continue
    ctx.font = `10px ${theme.font}`
    ctx.fillStyle = theme.muted
    ctx.fillText(plural(band.nLanes, 'lane'), 20, y + 15)
  }
  ctx.fillStyle = theme.line
  for (const band of bands) ctx.fillRect(0, ruler + band.top + band.height - top + BAND_GAP / 2 - 2, gutter, 1)
  ctx.restore()
}
