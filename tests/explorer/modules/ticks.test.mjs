import assert from 'node:assert/strict'
import { test } from 'node:test'
import { roundStep, ticksOf } from '../../../tokenvis/explorer/modules/canvas/ticks.mjs'
import { foldsOf, timeMap, toOffset } from '../../../tokenvis/explorer/modules/model/timemap.mjs'
import { examples, list } from './traces.mjs'

const APART = 92
const [SECOND, MINUTE, HOUR, DAY] = [1e6, 60e6, 3600e6, 86400e6]

test('steps are round in customary units', () => {
  const steps = [
    [0.2, 1], [3, 5], [5, 5], [6, 10], [400e3, 500e3], [500e3, 500e3], [500_001, SECOND], [7 * SECOND, 10 * SECOND],
    [31 * SECOND, MINUTE], [11 * MINUTE, 15 * MINUTE], [4 * HOUR, 6 * HOUR], [13 * HOUR, DAY], [1.5 * DAY, 2 * DAY],
    [6 * DAY, 10 * DAY],
  ]
  for (const [least, step] of steps) assert.equal(roundStep(least), step, `at least ${least}`)
  assert.deepEqual([0.2, 3, 7e6, 3e9].map((least) => roundStep(least, true)), [1, 5, 10e6, 5e9])
})

const ROUND = [
  ...list(6, (power) => [1, 2, 5].map((factor) => factor * 10 ** power)).flat(),
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 6, 12, 24].map((hours) => hours * HOUR),
  ...list(5, (power) => [1, 2, 5].map((factor) => factor * 10 ** power * DAY)).flat().slice(1),
]

test('law: the step is the shortest round one that is long enough', () => {
  examples(500, (whole) => {
    const least = whole(4) ? 10 ** (whole(14_000) / 1000) : ROUND[whole(ROUND.length)]
    assert.equal(roundStep(least), ROUND.find((step) => step >= least * (1 - 1e-9)))
  })
})

test('visible ticks, with labels', () => {
  const map = timeMap([0, 10 * SECOND], [0, 10 * SECOND])
  assert.deepEqual(ticksOf(map, { left: 0, scale: 300 / (10 * SECOND), width: 300 }, false), [
    { axisTime: 0, label: '0' },
    { axisTime: 5 * SECOND, label: '5 s' },
    { axisTime: 10 * SECOND, label: '10 s' },
  ])
  const steps = ticksOf(timeMap([0, 4], [0, 4]), { left: 0.5, scale: 100, width: 300 }, true)
  assert.deepEqual(steps.map(({ label }) => label), ['1', '2', '3'])
  const later = ticksOf(timeMap([0, 4], [0, 4]), { left: 0.5, scale: 100, width: 300 }, true, 1_007)
  assert.deepEqual(later.map(({ label }) => label), ['1,008', '1,009', '1,010'])
})

test('no tick is inside a folded gap, and those after it show the right time', () => {
  const map = timeMap([0, 4 * SECOND, 3604 * SECOND, 3608 * SECOND], [0, 4 * SECOND, 5 * SECOND, 9 * SECOND])
  const labels = (left, width) => ticksOf(map, { left, scale: 100 / SECOND, width }, false).map(({ label }) => label)
  assert.deepEqual(labels(0, 900), ['0', '1 s', '2 s', '3 s', '4 s', '1:00:04', '1:00:05', '1:00:06', '1:00:07', '1:00:08'])
  assert.deepEqual(labels(4.2 * SECOND, 60), [])
})

test('law: ticks are visible, at multiples of the step, at a minimum distance, and never inside a fold', () => {
  examples(300, (whole) => {
    const [busy, gap, after] = [1 + whole(1e6), 1 + whole(1e9), 1 + whole(1e6)]
    const width = 1 + whole(busy)
    const map = timeMap([0, busy, busy + gap, busy + gap + after], [0, busy, busy + width, busy + width + after])
    const grid = { left: whole(busy) - whole(1000), scale: 10 ** (whole(500) / 100 - 4), width: 100 + whole(1000) }
    const step = roundStep(APART / grid.scale)
    const [{ from, to }] = foldsOf(map)
    let before = -Infinity
    for (const { axisTime } of ticksOf(map, grid, false)) {
      const offset = toOffset(map, axisTime)
      assert.ok(Math.abs(offset - Math.round(offset / step) * step) < 1e-3, `${offset} is no multiple of ${step}`)
      assert.ok(axisTime >= grid.left - 1e-3 && axisTime <= grid.left + grid.width / grid.scale + 1e-3)
      assert.ok((axisTime - before) * grid.scale >= APART * 0.8)
      assert.ok(axisTime <= from + 1e-3 || axisTime >= to - 1e-3, `${axisTime} is between ${from} and ${to}`)
      before = axisTime
    }
  })
})
