// Ticks of the time axis: round times, as close as their labels allow, none within a folded gap.

import { foldsOf, toOffset, toPlace } from '../model/timemap.mjs'
import { moment } from '../model/text.mjs'

/** @typedef {import('../model/timemap.mjs').TimeMap} TimeMap */

const APART = 92 // pixels
const SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400]

/**
 * The shortest round step that is at least so long, in µs.
 * @param {number} least
 * @param {boolean} [steps] whether times are numbers of steps
 */
export function roundStep(least, steps = false) {
  const seconds = least / 1e6
  if (!steps && seconds > 0.5 && seconds <= 86400) return 1e6 * /** @type {number} */ (SECONDS.find((step) => step >= seconds))
  const unit = !steps && seconds > 86400 ? 86400e6 : 1
  const power = 10 ** Math.floor(Math.log10(Math.max(least / unit, 1)))
  const factor = [1, 2, 5, 10].find((times) => times * power * unit >= least * (1 - 1e-9)) ?? 10
  return factor * power * unit
}

/**
 * The ticks in view: place and label.
 * @param {TimeMap} map
 * @param {{left: number, scale: number, width: number}} stretch
 * @param {boolean} steps
 */
export function ticksOf(map, { left, scale, width }, steps) {
  const step = roundStep(APART / scale, steps)
  const right = left + width / scale
  const edges = [left, ...foldsOf(map).flatMap(({ from, to }) => [from, to]).filter((x) => x > left && x < right), right]
  const ticks = []
  for (let number = 0; number + 1 < edges.length; number++) {
    const [from, to] = [edges[number], edges[number + 1]]
    if (foldsOf(map).some((fold) => fold.from <= from && fold.to >= to)) continue
    const last = toOffset(map, to)
    for (let offset = Math.ceil(toOffset(map, from) / step) * step; offset <= last; offset += step) {
      const place = toPlace(map, offset)
      const before = ticks[ticks.length - 1]
      if (!before || (place - before.place) * scale >= APART * 0.8) ticks.push({ place, label: moment(offset, step, steps) })
    }
  }
  return ticks
}
