// The axis: ruler, grid, zero line, folded gaps; and the gutter with the names of the bands.

import { BAND_GAP } from '../model/layout.mjs'
import { fitted } from './lettering.mjs'
import { duration, oneLine, plural } from '../model/text.mjs'
import { ticksOf } from './ticks.mjs'
import { foldsOf, toPlace } from '../model/timemap.mjs'

/**
 * @typedef {import('./look.mjs').Look} Look
 * @typedef {import('../model/scene.mjs').Scene} Scene
 * @typedef {import('../model/layout.mjs').Band} Band
 * @typedef {import('./drawing.mjs').View} View
 * @typedef {{x: number, label: string}} Tick
 */

/**
 * Grid lines, the zero line and folded gaps, behind the bars; the ticks are returned.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Scene} scene
 * @param {boolean} steps
 * @param {Look} look
 * @returns {Tick[]}
 */
export function drawAxis(ctx, view, { map }, steps, look) {
  const { left, scale, gutter, ruler, height } = view
  const xOf = (/** @type {number} */ place) => gutter + (place - left) * scale
  const ticks = ticksOf(map, view, steps).map(({ place, label }) => ({ x: xOf(place), label }))
  ctx.fillStyle = look.rule
  for (const { x } of ticks) ctx.fillRect(x - 0.5, ruler, 1, height)
  ctx.fillStyle = look.quiet
  ctx.fillRect(xOf(toPlace(map, 0)) - 0.5, ruler, 1, height)
  for (const { from, to } of foldsOf(map)) hatch(ctx, xOf(from), xOf(to), view, look)
  return ticks
}

/** A folded gap. @param {CanvasRenderingContext2D} ctx @param {number} x0 @param {number} x1 @param {View} view @param {Look} look */
function hatch(ctx, x0, x1, { gutter, ruler, width, height }, look) {
  if (x1 < gutter || x0 > gutter + width) return
  ctx.save()
  ctx.beginPath()
  ctx.rect(x0, ruler, x1 - x0, height)
  ctx.clip()
  ctx.fillStyle = look.paper
  ctx.fillRect(x0, ruler, x1 - x0, height)
  ctx.strokeStyle = look.rule
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
 * The ruler above the body: times, and how long folded gaps last.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Scene} scene
 * @param {Tick[]} ticks
 * @param {boolean} steps
 * @param {Look} look
 */
export function drawRuler(ctx, { left, scale, gutter, ruler, width }, { map }, ticks, steps, look) {
  ctx.fillStyle = look.paper
  ctx.fillRect(0, 0, gutter + width, ruler)
  ctx.fillStyle = look.rule
  ctx.fillRect(0, ruler - 1, gutter + width, 1)
  ctx.save()
  ctx.beginPath()
  ctx.rect(gutter, 0, width, ruler)
  ctx.clip()
  ctx.font = `11px ${look.font}`
  ctx.textBaseline = 'middle'
  const taken = foldsOf(map).map(({ from, to, lasts }) => {
    return drawBreak(ctx, (from - left) * scale + gutter, (to - left) * scale + gutter, duration(lasts, steps), ruler, look)
  })
  ctx.textAlign = 'left'
  for (const { x, label } of ticks) {
    ctx.fillStyle = look.quiet
    ctx.fillRect(x - 0.5, ruler - 6, 1, 6)
    const room = ctx.measureText(label).width
    const begin = x + 4 + room > gutter + width ? x - 4 - room : x + 4
    if (!taken.some(([from, to]) => begin < to && begin + room > from)) ctx.fillText(label, begin, ruler / 2 - 1)
  }
  ctx.restore()
}

/**
 * How long a folded gap lasts, above it; the room that it takes is returned.
 * @param {CanvasRenderingContext2D} ctx
 * @param {number} x0
 * @param {number} x1
 * @param {string} lasts
 * @param {number} ruler
 * @param {Look} look
 * @returns {[number, number]}
 */
function drawBreak(ctx, x0, x1, lasts, ruler, look) {
  const [middle, room] = [(x0 + x1) / 2, Math.max(ctx.measureText(lasts).width + 8, x1 - x0)]
  ctx.fillStyle = look.quiet
  ctx.textAlign = 'center'
  ctx.fillText(lasts, middle, ruler / 2 - 1)
  return [middle - room / 2, middle + room / 2]
}

/**
 * Names of the bands, each beside the part of its band that is in view.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Band[]} bands
 * @param {Look} look
 */
export function drawGutter(ctx, { gutter, ruler, top, height }, bands, look) {
  ctx.fillStyle = look.paper
  ctx.fillRect(0, ruler, gutter, height)
  ctx.fillStyle = look.rule
  ctx.fillRect(gutter - 1, ruler, 1, height)
  ctx.save()
  ctx.beginPath()
  ctx.rect(0, ruler, gutter - 1, height)
  ctx.clip()
  ctx.textAlign = 'left'
  ctx.textBaseline = 'middle'
  for (const band of bands) {
    const from = Math.max(band.top - top, 0)
    const to = band.top + band.height - top
    const y = ruler + Math.min(from + 8, to - 8)
    ctx.fillStyle = look.quiet
    ctx.font = `9px ${look.font}`
    if (band.depth > 1) ctx.fillText(band.folded ? '▶' : '▼', 6, y)
    ctx.font = `12px ${look.font}`
    ctx.fillStyle = look.ink
    ctx.fillText(fitted(ctx, gutter - 28, oneLine(band.name)), 20, y)
    if (to - from < 34) continue
    ctx.font = `10px ${look.font}`
    ctx.fillStyle = look.quiet
    ctx.fillText(plural(band.depth, 'lane'), 20, y + 15)
  }
  ctx.fillStyle = look.rule
  for (const band of bands) ctx.fillRect(0, ruler + band.top + band.height - top + BAND_GAP / 2 - 2, gutter, 1)
  ctx.restore()
}
