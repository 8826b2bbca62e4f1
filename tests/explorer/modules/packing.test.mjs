import assert from 'node:assert/strict'
import { test } from 'node:test'
import { packLanes } from '../../../tokenvis/explorer/modules/model/packing.mjs'
import { examples, list, someSpans, traceOfText } from './traces.mjs'

function lanes(...rows) {
  const { location, start, end } = traceOfText(...rows)
  const { lane, nLanes } = packLanes(location.codes, start, end, location.names.length)
  return [[...lane], [...nLanes]]
}

test('a span gets the lowest free lane', () => {
  const rows = ['ann 0 10 desk', 'bob 2 4 desk', 'eve 3 8 desk', 'bob 4 6 desk', 'ann 10 12 desk']
  assert.deepEqual(lanes(...rows), [[0, 1, 2, 1, 0], [3]])
})

test('bands are packed separately', () => {
  assert.deepEqual(lanes('ann 0 9 desk', 'bob 0 9 lab', 'eve 0 9 desk'), [[0, 0, 1], [2, 1]])
})

test('an instant occupies one microsecond', () => {
  assert.deepEqual(lanes('ann 3 3 desk', 'bob 3 3 desk', 'eve 4 4 desk'), [[0, 1, 0], [2]])
  assert.deepEqual(lanes('ann 0 3 desk', 'bob 3 3 desk', 'eve 3 5 desk'), [[0, 0, 1], [2]])
})

test('many concurrent spans need many lanes, and no spans need none', () => {
  const many = list(100, (number) => `ann ${number} 1000 desk`)
  assert.deepEqual(lanes(...many), [list(100, (number) => number), [100]])
  assert.deepEqual(packLanes(new Uint8Array(), new Float64Array(), new Float64Array(), 2).nLanes, Uint32Array.of(0, 0))
})

test('law: lanes equal those of the greedy sweep by definition', () => {
  examples(400, (whole) => {
    const { location, start, end, n } = traceOfText(...someSpans(whole, 20))
    const { lane, nLanes } = packLanes(location.codes, start, end, location.names.length)
    const expected = []
    for (let row = 0; row < n; row++) {
      const inBand = list(row, (other) => other).filter((other) => location.codes[other] === location.codes[row])
      const running = inBand.filter((other) => Math.max(end[other] - 1, start[other]) >= start[row])
      const taken = running.map((other) => expected[other])
      expected.push(list(n, (number) => number).find((number) => !taken.includes(number)))
    }
    assert.deepEqual([...lane], expected)
    const deepest = location.names.map((_, code) => Math.max(...expected.filter((__, row) => location.codes[row] === code)) + 1)
    assert.deepEqual([...nLanes], deepest)
  })
})
