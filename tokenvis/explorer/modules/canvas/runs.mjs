// Runs: what stands in each pixel of a row, found by one halving and a gallop a pixel, however many spans there are.
//
// A span as wide as a few pixels is a bar of its own. Thinner ones are counted into the pixels in which they start: how much of
// the pixel they take, and the colour that runs longest in it. Of more than `SAMPLE` spans in one pixel, as many, evenly
// spread, stand for all.

import { firstAtLeast, gallop } from '../model/search.mjs'

/**
 * @typedef {import('../model/wire.mjs').Numbers} Numbers
 * @typedef {{left: number, scale: number, width: number}} Stretch the place at the left edge, pixels a µs, pixels
 * @typedef {{cover: Float32Array, most: Float32Array, tint: Int32Array}} Pixels of each pixel: the share that is taken, the time of
 *   the colour that runs longest, and that colour, -1 where there is nothing
 */

export const WIDE = 3 // pixels from which a span is a bar
const SAMPLE = 8

/** @param {number} width @returns {Pixels} */
export function pixelsOf(width) {
  return { cover: new Float32Array(width), most: new Float32Array(width), tint: new Int32Array(width) }
}

/**
 * Go through the spans of a row that are in view: bars are handed over, the others are counted into `pixels`.
 * @param {{start: Float64Array, end: Float64Array}} spans of all rows; those of a row do not overlap
 * @param {Numbers} tint the colour of each
 * @param {number} from the first of the row
 * @param {number} to after its last
 * @param {Stretch} stretch
 * @param {Pixels} pixels are emptied first
 * @param {(position: number, x0: number, x1: number) => void} bar
 */
export function sweepRow({ start, end }, tint, from, to, stretch, pixels, bar) {
  const { left, scale, width } = stretch
  const right = left + width / scale
  pixels.cover.fill(0)
  pixels.most.fill(0)
  pixels.tint.fill(-1)
  let position = firstAtLeast(end, from, to, left)
  while (position < to && start[position] < right) {
    const x0 = (start[position] - left) * scale
    const x1 = (end[position] - left) * scale
    if (x1 - x0 >= WIDE) bar(position, x0, x1)
    if (x1 - x0 >= WIDE || (x1 <= 0 && x0 < x1)) { // a bar, or a span that ended where the view begins
      position++
      continue
    }
    const pixel = Math.min(Math.max(Math.floor(x0), 0), width - 1)
    let next = gallop(start, position + 1, to, left + (pixel + 1) / scale)
    if (next > position + 1 && (end[next - 1] - start[next - 1]) * scale >= WIDE) next-- // it is a bar, and comes next
    count(start, end, tint, position, next, stretch, pixel, pixels)
    position = next
  }
}

const time = new Map()

/**
 * Count the spans that start in a pixel; the last of them may reach into the pixels after it.
 * @param {Float64Array} start
 * @param {Float64Array} end
 * @param {Numbers} tint
 * @param {number} from
 * @param {number} to
 * @param {Stretch} stretch
 * @param {number} pixel
 * @param {Pixels} pixels
 */
function count(start, end, tint, from, to, { left, scale, width }, pixel, pixels) {
  const n = Math.min(to - from, SAMPLE)
  const step = (to - from) / n
  time.clear()
  let longest = 0
  let color = tint[from]
  let taken = 0
  for (let number = 0; number < n; number++) {
    const position = from + Math.floor((number + 0.5) * step)
    const inside = Math.min((end[position] - left) * scale, pixel + 1) - Math.max((start[position] - left) * scale, pixel)
    const sum = (time.get(tint[position]) ?? 0) + inside
    time.set(tint[position], sum)
    taken += inside
    if (sum > longest) [longest, color] = [sum, tint[position]]
  }
  add(pixels, pixel, taken * step, longest * step, color)
  const x1 = (end[to - 1] - left) * scale
  for (let further = pixel + 1; further < Math.min(x1, width); further++) {
    const share = Math.min(x1 - further, 1)
    add(pixels, further, share, share, tint[to - 1])
  }
}

/**
 * @param {Pixels} pixels
 * @param {number} pixel
 * @param {number} share
 * @param {number} longest
 * @param {number} color
 */
function add(pixels, pixel, share, longest, color) {
  pixels.cover[pixel] += share
  if (pixels.tint[pixel] < 0 || longest > pixels.most[pixel]) {
    pixels.most[pixel] = longest
    pixels.tint[pixel] = color
  }
}

/**
 * How many spans of a strip touch each pixel: those that started before its right edge less those that ended before its left.
 * @param {Float64Array} starts ascending
 * @param {Float64Array} ends ascending, of the same spans
 * @param {Stretch} stretch
 * @returns {Uint32Array}
 */
export function touching(starts, ends, { left, scale, width }) {
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
 * One of those positions for each pixel that has any, for marks that must not be lost among thousands.
 * @param {Uint32Array} positions ascending, of spans of all rows
 * @param {Float64Array} start
 * @param {number} from the first span of the row
 * @param {number} to after its last
 * @param {Stretch} stretch
 * @param {(position: number, x: number) => void} mark
 */
export function marksOf(positions, start, from, to, { left, scale, width }, mark) {
  const right = left + width / scale
  let number = firstAtLeast(positions, 0, positions.length, from)
  while (number < positions.length && positions[number] < to && start[positions[number]] <= right) {
    const position = positions[number]
    const x = (start[position] - left) * scale
    if (x >= 0) mark(position, x)
    const edge = left + (Math.max(Math.floor(x), -1) + 1) / scale
    const next = gallop(start, position + 1, to, edge)
    number = firstAtLeast(positions, number + 1, positions.length, next)
  }
}
