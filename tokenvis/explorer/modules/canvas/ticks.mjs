// Ticks of the time axis: round times, as dense as their labels allow, and none inside a folded gap.

import { formatTime } from '../model/text.mjs'
import { foldsOf, toAxisTime, toOffset } from '../model/timemap.mjs'

/** @typedef {import('../model/timemap.mjs').TimeMap} TimeMap */

const MIN_TICK_DISTANCE = 92 // pixels
const ROUND_STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400]

/**
 * The shortest round step of at least `minStep`, in µs.
 * @param {number} minStep
 * @param {boolean} [hasStepTimes] whether times are step numbers
 */
export function roundStep(minStep, hasStepTimes = false) {
  const seconds = minStep / 1e6
  if (!hasStepTimes && seconds > 0.5 && seconds <= 86400) {
    return 1e6 * /** @type {number} */ (ROUND_STEPS_S.find((step) => step >= seconds))
  }
  const unit = !hasStepTimes && seconds > 86400 ? 86400e6 : 1
  const power = 10 ** Math.floor(Math.log10(Math.max(minStep / unit, 1)))
  const factor = [1, 2, 5, 10].find((factor) => factor * power * unit >= minStep * (1 - 1e-9)) ?? 10
  return factor * power * unit
}

/**
 * The visible ticks: axis time and label.
 * @param {TimeMap} map
 * @param {{left: number, scale: number, width: number}} grid
 * @param {boolean} hasStepTimes
 * @param {number} [firstStep] the number of the step at the origin of the map
 */
export function ticksOf(map, { left, scale, width }, hasStepTimes, firstStep = 0) {
  const shift = hasStepTimes ? firstStep : 0
  const step = roundStep(MIN_TICK_DISTANCE / scale, hasStepTimes)
  const right = left + width / scale
  const edges = [left, ...foldsOf(map).flatMap(({ from, to }) => [from, to]).filter((x) => x > left && x < right), right]
  const ticks = []
  for (let index = 0; index + 1 < edges.length; index++) {
    const [from, to] = [edges[index], edges[index + 1]]
    if (foldsOf(map).some((fold) => fold.from <= from && fold.to >= to)) continue
    const last = toOffset(map, to) + shift
    for (let time = Math.ceil((toOffset(map, from) + shift) / step) * step; time <= last; time += step) {
      const axisTime = toAxisTime(map, time - shift)
      const previous = ticks[ticks.length - 1]
      if (!previous || (axisTime - previous.axisTime) * scale >= MIN_TICK_DISTANCE * 0.8) ticks.push({
        axisTime, label: formatTime(time, step, hasStepTimes),
      })
    }
  }
  return ticks
}
