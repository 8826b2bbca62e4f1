import assert from 'node:assert/strict'
import { test } from 'node:test'
import { figuresOf } from '../../../tokenvis/explorer/modules/model/figures.mjs'
import { examples, list, someSpans, traceOfText } from './traces.mjs'

const TRACE = traceOfText('ann 0 10 desk', 'bob 5 10 lab', 'ann 15 20 desk')
const FACTS = { self: null, input: null, output: null, status: null }

test('wall, active and busy are different times', () => {
  const figures = { n: 3, wall: 20, active: 15, busy: 20, input: null, output: null }
  assert.deepEqual(figuresOf(TRACE, null, [0, 1, 2]), figures)
  assert.deepEqual(figuresOf(TRACE, FACTS, Uint32Array.of(0, 1, 2)), figures)
})

test('figures of some rows', () => {
  assert.deepEqual(figuresOf(TRACE, null, [1, 2]), { n: 2, wall: 15, active: 10, busy: 10, input: null, output: null })
  assert.deepEqual(figuresOf(TRACE, null, []), { n: 0, wall: 0, active: 0, busy: 0, input: null, output: null })
})

test('busy is the time of innermost spans, and known tokens are summed', () => {
  const facts = { ...FACTS, self: Uint8Array.of(4, 5, 5), input: Float64Array.of(7, 0, 2) }
  assert.deepEqual(figuresOf(TRACE, facts, [0, 2]), { n: 2, wall: 20, active: 15, busy: 9, input: 9, output: null })
})

test('a long span can end after spans that start later', () => {
  const trace = traceOfText('ann 0 30 desk', 'bob 5 10 lab', 'eve 12 12 lab')
  assert.deepEqual(figuresOf(trace, null, [0, 1, 2]), { n: 3, wall: 30, active: 30, busy: 35, input: null, output: null })
})

test('law: figures equal counts per microsecond', () => {
  examples(300, (whole) => {
    const trace = traceOfText(...someSpans(whole))
    const rows = list(trace.n, (row) => row).filter(() => whole(3))
    const running = list(20, (time) => rows.filter((row) => trace.start[row] <= time && time < trace.end[row]).length)
    const { n, wall, active, busy } = figuresOf(trace, null, rows)
    const ends = rows.map((row) => trace.end[row])
    assert.equal(n, rows.length)
    assert.equal(wall, n ? Math.max(...ends) - trace.start[rows[0]] : 0)
    assert.equal(active, running.filter(Boolean).length)
    assert.equal(busy, running.reduce((sum, count) => sum + count, 0))
  })
})
