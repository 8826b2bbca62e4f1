import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstAtLeast, gallop } from '../../../tokenvis/explorer/modules/model/search.mjs'
import { examples, list, sorted } from './traces.mjs'

const VALUES = Float64Array.of(1, 3, 3, 3, 7)

test('the first value that is large enough', () => {
  assert.deepEqual([0, 1, 2, 3, 4, 7, 8].map((least) => firstAtLeast(VALUES, 0, 5, least)), [0, 0, 1, 1, 4, 4, 5])
})

test('the first position in a range, else its end', () => {
  assert.equal(firstAtLeast(VALUES, 2, 4, 3), 2)
  assert.equal(firstAtLeast(VALUES, 2, 4, 7), 4)
  assert.equal(firstAtLeast(VALUES, 3, 3, 0), 3)
  assert.equal(gallop(VALUES, 2, 4, 7), 4)
  assert.equal(gallop(VALUES, 3, 3, 0), 3)
})

test('law: both equal a linear search', () => {
  examples(500, (whole) => {
    const values = Float64Array.from(sorted(list(whole(40), () => whole(12))))
    const from = whole(values.length + 1)
    const to = from + whole(values.length - from + 1)
    const least = whole(14) - 1
    let expected = from
    while (expected < to && values[expected] < least) expected++
    assert.equal(firstAtLeast(values, from, to, least), expected)
    assert.equal(gallop(values, from, to, least), expected)
  })
})
