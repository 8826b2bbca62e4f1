// Bars: draws the spans of the visible rows as rectangles, thinner spans as lines of pixels, and folded bands as strips.

import { BAR_HEIGHT, LANE_HEIGHT, STRIP_HEIGHT } from '../model/layout.mjs'
import { emptyPixels, spansPerPixel, sweepRow } from './runs.mjs'
import { rgbsOf } from './theme.mjs'

/**
 * @typedef {import('./theme.mjs').Theme} Theme
 * @typedef {import('../model/scene.mjs').Scene} Scene
 * @typedef {import('../model/layout.mjs').Band} Band
 * @typedef {import('./drawing.mjs').View} View
 * @typedef {{position: number, x: number, y: number, width: number}} Bar CSS pixels of the canvas
 */

export const DIMMED_OPACITY = 0.22 // of spans that are not highlighted, while others are
const MIN_PIXEL_OPACITY = 0.4 // of a pixel that spans hardly cover

/** The visible rows of a band. @param {View} view @param {Band} band */
export function rowsInView({ top, height }, band) {
  if (band.folded) return { from: band.firstRow, to: band.firstRow + 1 }
  const from = Math.max(Math.floor((top - band.top) / LANE_HEIGHT), 0)
  const to = Math.min(Math.ceil((top + height - band.top) / LANE_HEIGHT), band.nRows)
  return { from: band.firstRow + from, to: band.firstRow + to }
}

/** The pixel grid of a view in device pixels. @param {View} view @param {number} width */
export const devicePixelGrid = ({ left, scale, ratio }, width) => ({ left, scale: scale * ratio, width })

/**
 * Draws all visible rows: bars, pixel lines of thinner spans, and strips. Returns the bars.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Scene} scene
 * @param {Band[]} bands
 * @param {Theme} theme
 * @returns {Bar[]}
 */
export function drawRows(ctx, view, scene, bands, theme) {
  const grid = devicePixelGrid(view, Math.round(view.width * view.ratio))
  const lanes = bands.filter(({ folded }) => !folded).map((band) => rowsInView(view, band))
  const image = rasterOf(grid.width, lanes.reduce((sum, { from, to }) => sum + to - from, 0))
  const pixels = emptyPixels(grid.width)
  const colors = rgbsOf(scene.hueColumn.colors)
  const bars = /** @type {Bar[]} */ ([])
  const heights = []
  for (const { from, to } of lanes) {
    for (let layoutRow = from; layoutRow < to; layoutRow++) {
      const y = view.ruler + scene.layoutRows.rowTop[layoutRow] - view.top
      const { first } = scene.placed
      sweepRow(scene.placed, scene.colorIndex, first[layoutRow], first[layoutRow + 1], grid, pixels, (position, x0, x1) => {
        const x = Math.max(x0, -8) / view.ratio
        bars.push({ position, x: view.gutter + x, y, width: Math.min(x1 / view.ratio, view.width + 8) - x })
      })
      image.fill(heights.length, pixels, colors, scene.highlight ? DIMMED_OPACITY : 1)
      heights.push(y)
    }
  }
  image.draw(ctx, view, heights)
  drawBars(ctx, bars, scene)
  for (const band of bands) if (band.folded) drawStrip(ctx, view, scene, band, grid, theme)
  return bars
}

const scratchCanvas = typeof document === 'undefined' ? null : document.createElement('canvas')

/**
 * An image with one line of pixels per row, stretched to the height of bars when it is drawn.
 * @param {number} width
 * @param {number} nRows
 */
function rasterOf(width, nRows) {
  const image = new ImageData(width, Math.max(nRows, 1))
  const packedPixels = new Uint32Array(image.data.buffer)
  return {
    /** @param {number} line @param {import('./runs.mjs').Pixels} pixels @param {number[][]} colors @param {number} opacity */
    fill(line, { coverage, colorIndex }, colors, opacity) {
      for (let pixel = 0, index = line * width; pixel < width; pixel++, index++) {
        if (colorIndex[pixel] < 0) continue
        const [r, g, b] = colors[colorIndex[pixel]]
        const alpha = 255 * opacity * (MIN_PIXEL_OPACITY + (1 - MIN_PIXEL_OPACITY) * Math.min(coverage[pixel], 1))
        packedPixels[index] = (alpha << 24) | (b << 16) | (g << 8) | r
      }
    },
    /** @param {CanvasRenderingContext2D} ctx @param {View} view @param {number[]} heights */
    draw(ctx, { gutter, ratio }, heights) {
      if (!scratchCanvas || !heights.length) return
      scratchCanvas.width = width
      scratchCanvas.height = heights.length
      scratchCanvas.getContext('2d')?.putImageData(image, 0, 0)
      ctx.imageSmoothingEnabled = false
      heights.forEach((y, line) => ctx.drawImage(scratchCanvas, 0, line, width, 1, gutter, y, width / ratio, BAR_HEIGHT))
    },
  }
}

/** @param {CanvasRenderingContext2D} ctx @param {Bar[]} bars @param {Scene} scene */
function drawBars(ctx, bars, { hueColumn, colorIndex, highlight }) {
  for (const { position, x, y, width } of bars) {
    ctx.globalAlpha = highlight && !highlight.flags[position] ? DIMMED_OPACITY : 1
    ctx.fillStyle = hueColumn.colors[colorIndex[position]]
    ctx.fillRect(x, y, width - 0.4, BAR_HEIGHT)
  }
  ctx.globalAlpha = 1
}

/**
 * Draws a folded band as a strip: the number of its spans that touch each pixel.
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {Scene} scene
 * @param {Band} band
 * @param {import('./runs.mjs').PixelGrid} grid
 * @param {Theme} theme
 */
function drawStrip(ctx, { gutter, ruler, top, ratio }, { placed: { start, first }, ends }, band, grid, theme) {
  const starts = start.subarray(first[band.firstRow], first[band.firstRow + 1])
  const counts = spansPerPixel(starts, /** @type {Float64Array} */ (ends.get(band.firstRow)), grid)
  const maxCount = counts.reduce((max, count) => Math.max(max, count), 1)
  const bottom = ruler + band.top + STRIP_HEIGHT - top
  ctx.fillStyle = theme.accent
  ctx.beginPath()
  ctx.moveTo(gutter, bottom)
  counts.forEach((count, pixel) => {
    const y = bottom - (count / maxCount) * (STRIP_HEIGHT - 4)
    ctx.lineTo(gutter + pixel / ratio, y)
    ctx.lineTo(gutter + (pixel + 1) / ratio, y)
  })
  ctx.lineTo(gutter + counts.length / ratio, bottom)
  ctx.fill()
}
