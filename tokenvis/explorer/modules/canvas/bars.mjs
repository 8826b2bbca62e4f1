// Bars: the spans of the rows in view, as rectangles, as lines of pixels where they are thinner, and as strips.

import { BAR, LANE, STRIP } from '../model/layout.mjs'
import { channelsOf } from './look.mjs'
import { pixelsOf, sweepRow, touching } from './runs.mjs'

/**
 * @typedef {import('./look.mjs').Look} Look
 * @typedef {import('../model/scene.mjs').Scene} Scene
 * @typedef {import('../model/layout.mjs').Band} Band
 * @typedef {import('./drawing.mjs').View} View
 * @typedef {{position: number, x: number, y: number, width: number}} Bar CSS pixels of the canvas
 */

export const PALED = 0.22 // opacity of what does not stand out, while something does
const FAINTEST = 0.4 // of a pixel in which hardly anything runs

/** The rows of a band that are in view. @param {View} view @param {Band} band */
export function rowsInView({ top, height }, band) {
  if (band.folded) return { from: band.firstRow, to: band.firstRow + 1 }
  const from = Math.max(Math.floor((top - band.top) / LANE), 0)
  const to = Math.min(Math.ceil((top + height - band.top) / LANE), band.nRows)
  return { from: band.firstRow + from, to: band.firstRow + to }
}

/** @param {View} view @param {number} width */
export const devicePixels = ({ left, scale, ratio }, width) => ({ left, scale: scale * ratio, width })

/**
 * All rows in view: bars as rectangles, thinner spans as a line of pixels, strips. The bars are returned.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Scene} scene
 * @param {Band[]} bands
 * @param {Look} look
 * @returns {Bar[]}
 */
export function drawRows(ctx, view, scene, bands, look) {
  const stretch = devicePixels(view, Math.round(view.width * view.ratio))
  const lanes = bands.filter(({ folded }) => !folded).map((band) => rowsInView(view, band))
  const image = rasterOf(stretch.width, lanes.reduce((sum, { from, to }) => sum + to - from, 0))
  const pixels = pixelsOf(stretch.width)
  const colors = channelsOf(scene.hue.colors)
  const bars = /** @type {Bar[]} */ ([])
  const heights = []
  for (const { from, to } of lanes) {
    for (let row = from; row < to; row++) {
      const y = view.ruler + scene.rows.rowTop[row] - view.top
      const { first } = scene.placed
      sweepRow(scene.placed, scene.tint, first[row], first[row + 1], stretch, pixels, (position, x0, x1) => {
        const x = Math.max(x0, -8) / view.ratio
        bars.push({ position, x: view.gutter + x, y, width: Math.min(x1 / view.ratio, view.width + 8) - x })
      })
      image.fill(heights.length, pixels, colors, scene.lit ? PALED : 1)
      heights.push(y)
    }
  }
  image.draw(ctx, view, heights)
  drawBars(ctx, bars, scene)
  for (const band of bands) if (band.folded) drawStrip(ctx, view, scene, band, stretch, look)
  return bars
}

const canvas = typeof document === 'undefined' ? null : document.createElement('canvas')

/**
 * A line of pixels for each row, drawn as high as bars are.
 * @param {number} width
 * @param {number} nRows
 */
function rasterOf(width, nRows) {
  const data = new ImageData(width, Math.max(nRows, 1))
  const words = new Uint32Array(data.data.buffer)
  return {
    /** @param {number} line @param {import('./runs.mjs').Pixels} pixels @param {number[][]} colors @param {number} opacity */
    fill(line, { cover, tint }, colors, opacity) {
      for (let pixel = 0, word = line * width; pixel < width; pixel++, word++) {
        if (tint[pixel] < 0) continue
        const [r, g, b] = colors[tint[pixel]]
        const alpha = 255 * opacity * (FAINTEST + (1 - FAINTEST) * Math.min(cover[pixel], 1))
        words[word] = (alpha << 24) | (b << 16) | (g << 8) | r
      }
    },
    /** @param {CanvasRenderingContext2D} ctx @param {View} view @param {number[]} heights */
    draw(ctx, { gutter, ratio }, heights) {
      if (!canvas || !heights.length) return
      canvas.width = width
      canvas.height = heights.length
      canvas.getContext('2d')?.putImageData(data, 0, 0)
      ctx.imageSmoothingEnabled = false
      heights.forEach((y, line) => ctx.drawImage(canvas, 0, line, width, 1, gutter, y, width / ratio, BAR))
    },
  }
}

/** @param {CanvasRenderingContext2D} ctx @param {Bar[]} bars @param {Scene} scene */
function drawBars(ctx, bars, { hue, tint, lit }) {
  for (const { position, x, y, width } of bars) {
    ctx.globalAlpha = lit && !lit.flags[position] ? PALED : 1
    ctx.fillStyle = hue.colors[tint[position]]
    ctx.fillRect(x, y, width - 0.4, BAR)
  }
  ctx.globalAlpha = 1
}

/**
 * A folded band: how many of its spans touch each pixel.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Scene} scene
 * @param {Band} band
 * @param {import('./runs.mjs').Stretch} stretch
 * @param {Look} look
 */
function drawStrip(ctx, { gutter, ruler, top, ratio }, { placed: { start, first }, ends }, band, stretch, look) {
  const starts = start.subarray(first[band.firstRow], first[band.firstRow + 1])
  const counts = touching(starts, /** @type {Float64Array} */ (ends.get(band.firstRow)), stretch)
  const highest = counts.reduce((most, count) => Math.max(most, count), 1)
  const bottom = ruler + band.top + STRIP - top
  ctx.fillStyle = look.accent
  ctx.beginPath()
  ctx.moveTo(gutter, bottom)
  counts.forEach((count, pixel) => {
    const y = bottom - (count / highest) * (STRIP - 4)
    ctx.lineTo(gutter + pixel / ratio, y)
    ctx.lineTo(gutter + (pixel + 1) / ratio, y)
  })
  ctx.lineTo(gutter + counts.length / ratio, bottom)
  ctx.fill()
}
