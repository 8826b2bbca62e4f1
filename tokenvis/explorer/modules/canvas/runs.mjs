// Runs: the content of each pixel of a row, found with a binary search per row and a galloping search per pixel.
//
// A span at least `MIN_BAR_WIDTH` pixels wide is a separate bar. Thinner spans are counted into the pixel in which they start:
// how much of the pixel they cover, and the colour that covers most of it. If more than `MAX_SAMPLED_SPANS` spans start in one
// pixel, that many, evenly spaced, are sampled.

import { firstAtLeast, gallop } from '../model/search.mjs'

/**
 * @typedef {import('../model/wire.mjs').Numbers} Numbers
 * @typedef {{left: number, scale: number, width: number}} PixelGrid axis time at the left edge, pixels per µs, width in
 *   pixels
 * @typedef {{coverage: Float32Array, largestShare: Float32Array, colorIndex: Int32Array}} Pixels per pixel: the share that is
 *   covered, the share of the colour that covers most, and that colour, or -1 in an empty pixel
 */

export const MIN_BAR_WIDTH = 3 // pixels
const MAX_SAMPLED_SPANS = 8

/** @param {number} width @returns {Pixels} */
export function emptyPixels(width) {
  return { coverage: new Float32Array(width), largestShare: new Float32Array(width), colorIndex: new Int32Array(width) }
}

/**
 * Sweeps the visible spans of a row: reports bars to `onBar`, and counts thinner spans into `pixels`.
 * @param {{start: Float64Array, end: Float64Array}} spans of all rows; spans of one row do not overlap
 * @param {Numbers} colorIndex of each span
 * @param {number} from first span of the row
 * @param {number} to end of the row, exclusive
 * @param {PixelGrid} grid
 * @param {Pixels} pixels cleared first
 * @param {(position: number, x0: number, x1: number) => void} onBar
 */
export function sweepRow({ start, end }, colorIndex, from, to, grid, pixels, onBar) {
  const { left, scale, width } = grid
  const right = left + width / scale
  pixels.coverage.fill(0)
  pixels.largestShare.fill(0)
  pixels.colorIndex.fill(-1)
  let position = firstAtLeast(end, from, to, left)
  while (position < to && start[position] < right) {
    const x0 = (start[position] - left) * scale
    const x1 = (end[position] - left) * scale
    if (x1 - x0 >= MIN_BAR_WIDTH) onBar(position, x0, x1)
    if (x1 - x0 >= MIN_BAR_WIDTH || (x1 <= 0 && x0 < x1)) { // a bar, or a span that ended where the view begins
      position++
      continue
    }
    const pixel = Math.min(Math.max(Math.floor(x0), 0), width - 1)
    let next = gallop(start, position + 1, to, left + (pixel + 1) / scale)
    if (next > position + 1 && (end[next - 1] - start[next - 1]) * scale >= MIN_BAR_WIDTH) next-- // a bar, handled next
    countThinSpans(start, end, colorIndex, position, next, grid, pixel, pixels)
    position = next
  }
}

const shareByColor = new Map()

/**
 * Counts the spans that start in a pixel; the last of them may extend into the following pixels.
 * @param {Float64Array} start
 * @param {Float64Array} end
 * @param {Numbers} colorIndex
 * @param {number} from
 * @param {number} to
 * @param {PixelGrid} grid
 * @param {number} pixel
 * @param {Pixels} pixels
 */
function countThinSpans(start, end, colorIndex, from, to, { left, scale, width }, pixel, pixels) {
  const n = Math.min(to - from, MAX_SAMPLED_SPANS)
  const step = (to - from) / n
  shareByColor.clear()
  let largest = 0
  let color = colorIndex[from]
  let covered = 0
  for (let sample = 0; sample < n; sample++) {
    const position = from + Math.floor((sample + 0.5) * step)
    const overlap = Math.min((end[position] - left) * scale, pixel + 1) - Math.max((start[position] - left) * scale, pixel)
    const sum = (shareByColor.get(colorIndex[position]) ?? 0) + overlap
    shareByColor.set(colorIndex[position], sum)
    covered += overlap
    if (sum > largest) [largest, color] = [sum, colorIndex[position]]
  }
  addToPixel(pixels, pixel, covered * step, largest * step, color)
  const x1 = (end[to - 1] - left) * scale
  for (let nextPixel = pixel + 1; nextPixel < Math.min(x1, width); nextPixel++) {
    const share = Math.min(x1 - nextPixel, 1)
    addToPixel(pixels, nextPixel, share, share, colorIndex[to - 1])
  }
}

/**
 * @param {Pixels} pixels
 * @param {number} pixel
 * @param {number} share
 * @param {number} largest
 * @param {number} color
 */
function addToPixel(pixels, pixel, share, largest, color) {
  pixels.coverage[pixel] += share
  if (pixels.colorIndex[pixel] < 0 || largest > pixels.largestShare[pixel]) {
    pixels.largestShare[pixel] = largest
    pixels.colorIndex[pixel] = color
  }
}

/**
 * The number of spans of a strip that touch each pixel: those that start before its right edge minus those that end before its
 * left edge.
 * @param {Float64Array} starts ascending
 * @param {Float64Array} ends ascending, of the same spans
 * @param {PixelGrid} grid
 * @returns {Uint32Array}
 */
export function spansPerPixel(starts, ends, { left, scale, width }) {
  const counts = new Uint32Array(width)
  let started = firstAtLeast(starts, 0, starts.length, left)
  let ended = firstAtLeast(ends, 0, ends.length, left)
  for (let pixel = 0; pixel < width; pixel++) {
    started = gallop(starts, started, starts.length, left + (pixel + 1) / scale)
    ended = gallop(ends, ended, ends.length, left + pixel / scale)
    counts[pixel] = Math.max(started - ended, 0)
  }
  return counts
}

/**
 * Calls `onMark` for the first of the positions in each pixel, so that a mark stays visible among thousands of spans.
 * @param {Uint32Array} positions ascending, of spans of all rows
 * @param {Float64Array} start
 * @param {number} from first span of the row
 * @param {number} to end of the row, exclusive
 * @param {PixelGrid} grid
 * @param {(position: number, x: number) => void} onMark
 */
export function forEachMark(positions, start, from, to, { left, scale, width }, onMark) {
  const right = left + width / scale
  let index = firstAtLeast(positions, 0, positions.length, from)
  while (index < positions.length && positions[index] < to && start[positions[index]] <= right) {
    const position = positions[index]
    const x = (start[position] - left) * scale
    if (x >= 0) onMark(position, x)
    const edge = left + (Math.max(Math.floor(x), -1) + 1) / scale
    const next = gallop(start, position + 1, to, edge)
    index = firstAtLeast(positions, index + 1, positions.length, next)
  }
}
