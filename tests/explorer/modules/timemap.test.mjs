import assert from 'node:assert/strict'
import { test } from 'node:test'
import { axisTimesOf, foldsOf, isFolded, timeMap, toAxisTime, toOffset, unfolded } from '../../../tokenvis/explorer/modules/model/timemap.mjs'
import { examples } from './traces.mjs'

const LINEAR = timeMap([10, 30], [10, 30])
const FOLDED = timeMap([0, 100, 900, 950], [0, 100, 110, 160]) // 800 µs, folded to 10

test('a map without folds is the identity', () => {
  assert.deepEqual([5, 10, 20.5, 30, 40].map((offset) => toAxisTime(LINEAR, offset)), [5, 10, 20.5, 30, 40])
  assert.equal(isFolded(LINEAR), false)
  assert.deepEqual(foldsOf(LINEAR), [])
})

test('a gap is folded; time is linear around it and beyond the ends', () => {
  const offsets = [-5, 0, 50, 100, 500, 900, 950, 960]
  const axisTimes = [-5, 0, 50, 100, 105, 110, 160, 170]
  assert.deepEqual(offsets.map((offset) => toAxisTime(FOLDED, offset)), axisTimes)
  assert.deepEqual(axisTimes.map((axisTime) => toOffset(FOLDED, axisTime)), offsets)
  assert.equal(isFolded(FOLDED), true)
  assert.deepEqual(foldsOf(FOLDED), [{ from: 100, to: 110, lengthUs: 800 }])
})

test('a map without its folds has the same ends', () => {
  assert.deepEqual(unfolded(FOLDED), timeMap([0, 950], [0, 950]))
})

test('many offsets at once', () => {
  const offsets = Float64Array.of(0, 100, 900)
  assert.deepEqual(axisTimesOf(FOLDED, offsets), Float64Array.of(0, 100, 110))
  assert.equal(axisTimesOf(LINEAR, offsets), offsets)
})

test('the map of one instant, and one that ends with an instant after a fold', () => {
  assert.deepEqual([6, 7, 8].map((offset) => toAxisTime(timeMap([7, 7], [7, 7]), offset)), [6, 7, 8])
  const map = timeMap([0, 10, 100, 100], [0, 10, 11, 11])
  assert.deepEqual([10, 55, 100, 101].map((offset) => toAxisTime(map, offset)), [10, 10.5, 11, 12])
  assert.deepEqual([10, 10.5, 11, 12].map((axisTime) => toOffset(map, axisTime)), [10, 55, 100, 101])
})

/** A map as Python makes it: linear segments, and folds of equal width between them. */
function someMap(whole) {
  const first = whole(5)
  const offsets = [first, first + 1 + whole(6)]
  const axisTimes = [...offsets]
  const width = (1 + whole(8)) / 4
  for (let folds = whole(4); folds > 0; folds--) {
    const [gap, stretch] = [1 + whole(20), whole(6)]
    const [offset, axisTime] = [offsets[offsets.length - 1], axisTimes[axisTimes.length - 1]]
    offsets.push(offset + gap, offset + gap + stretch)
    axisTimes.push(axisTime + width, axisTime + width + stretch)
  }
  return timeMap(offsets, axisTimes)
}

/** The axis time by definition: the sum of the lengths of the segments before it. */
function definedAxisTime(map, offset) {
  let at = map.axisTimes[0] + Math.min(offset - map.offsets[0], 0)
  for (let knot = 1; knot < map.offsets.length; knot++) {
    const [from, to] = [map.offsets[knot - 1], map.offsets[knot]]
    const share = to > from ? Math.min(Math.max((offset - from) / (to - from), 0), 1) : 0
    at += share * (map.axisTimes[knot] - map.axisTimes[knot - 1])
  }
  return at + Math.max(offset - map.offsets[map.offsets.length - 1], 0)
}

test('law: axis times equal the definition, are monotonic, and map back to the offsets', () => {
  const near = (one, other) => assert.ok(Math.abs(one - other) < 1e-9, `${one} is not ${other}`)
  examples(300, (whole) => {
    const map = someMap(whole)
    let before = -Infinity
    for (let offset = -3; offset < map.offsets[map.offsets.length - 1] + 3; offset += 0.5) {
      near(toAxisTime(map, offset), definedAxisTime(map, offset))
      near(toOffset(map, toAxisTime(map, offset)), offset)
      assert.ok(toAxisTime(map, offset) > before)
      before = toAxisTime(map, offset)
    }
    const lengths = foldsOf(map).reduce((sum, { from, to, lengthUs }) => sum + lengthUs - (to - from), 0)
    const [ends, last] = [map.offsets, map.offsets.length - 1]
    near(map.axisTimes[last] - map.axisTimes[0] + lengths, ends[last] - ends[0])
  })
})
