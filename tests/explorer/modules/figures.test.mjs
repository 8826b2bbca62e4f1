import assert from 'node:assert/strict'
import { test } from 'node:test'
import { figuresOf } from '../../../tokenvis/explorer/modules/model/figures.mjs'
import { examples, list, someSpans, traceOfText } from './traces.mjs'

const TRACE = traceOfText('ann 0 10 desk', 'bob 5 10 lab', 'ann 15 20 desk')
const FACTS = { pieces: null, input: null, output: null, status: null }
const NO_TOKENS = { input: null, output: null }

/** Pieces "row start end", of which those with a fourth word wait, of the spans in `cut`. */
const factsWith = (cut, ...pieces) => {
  const parts = pieces.map((piece) => piece.split(' '))
  const [row, start, end] = list(3, (field) => parts.map((part) => Number(part[field])))
  const [duration, waits] = [end.map((time, piece) => time - start[piece]), parts.map((part) => Number(part.length > 3))]
  return { ...FACTS, pieces: { cut, row, start, duration, waits } }
}

test('wall, active and busy are different times', () => {
  const figures = { n: 3, wall: 20, times: { active: 15, busy: 20, waits: 0 }, ...NO_TOKENS }
  assert.deepEqual(figuresOf(TRACE, FACTS, Uint32Array.of(0, 1, 2)), figures)
})

test('before the facts are known, only the number and the wall time are', () => {
  assert.deepEqual(figuresOf(TRACE, null, [0, 1, 2]), { n: 3, wall: 20, times: null, ...NO_TOKENS })
})

test('figures of some rows', () => {
  const [some, none] = [{ active: 10, busy: 10, waits: 0 }, { active: 0, busy: 0, waits: 0 }]
  assert.deepEqual(figuresOf(TRACE, FACTS, [1, 2]), { n: 2, wall: 15, times: some, ...NO_TOKENS })
  assert.deepEqual(figuresOf(TRACE, FACTS, []), { n: 0, wall: 0, times: none, ...NO_TOKENS })
})

test('known tokens are summed', () => {
  const { input, output } = figuresOf(TRACE, { ...FACTS, input: Float64Array.of(7, 0, 2) }, [0, 2])
  assert.deepEqual([input, output], [9, null])
})

test('a long span can end after spans that start later', () => {
  const trace = traceOfText('ann 0 30 desk', 'bob 5 10 lab', 'eve 12 12 lab')
  assert.deepEqual(figuresOf(trace, FACTS, [0, 1, 2]).times, { active: 30, busy: 35, waits: 0 })
})

test('a lead that delegates twice waits, and nothing works in parallel', () => {
  const trace = traceOfText('lead 0 22 desk', 'w0 1 11 desk', 'w1 11 21 desk')
  const facts = factsWith([0], '0 0 1', '0 1 11 waits', '0 11 21 waits', '0 21 22')
  assert.deepEqual(figuresOf(trace, facts, [0, 1, 2]).times, { active: 22, busy: 22, waits: 0 })
  assert.deepEqual(figuresOf(trace, facts, [0]).times, { active: 2, busy: 2, waits: 20 })
  assert.deepEqual(figuresOf(trace, facts, [0, 2]).times, { active: 12, busy: 12, waits: 10 })
})

test('a span that its children cover completely has no piece, and pieces start at the first start of the trace', () => {
  const trace = traceOfText('ann 100 110 desk', 'ann 100 110 lab')
  const { pieces } = factsWith([0])
  assert.deepEqual(figuresOf(trace, { ...FACTS, pieces }, [0, 1]).times, { active: 10, busy: 10, waits: 0 })
  const waiting = factsWith([1], '1 0 4', '1 4 10 waits')
  assert.deepEqual(figuresOf(trace, waiting, [1]).times, { active: 4, busy: 4, waits: 6 })
})

test('law: figures equal counts per microsecond', () => {
  examples(300, (whole) => {
    const trace = traceOfText(...someSpans(whole))
    const rows = list(trace.n, (row) => row).filter(() => whole(3))
    const { facts, stateAt } = somePieces(trace, whole)
    const { n, wall, times } = figuresOf(trace, facts, rows)
    const states = list(20, (time) => rows.map((row) => stateAt(row, time)))
    const works = states.map((spans) => spans.filter((state) => state === 'work').length)
    const ends = rows.map((row) => trace.end[row])
    assert.equal(n, rows.length)
    assert.equal(wall, n ? Math.max(...ends) - trace.start[rows[0]] : 0)
    assert.equal(times.active, works.filter(Boolean).length)
    assert.equal(times.busy, works.reduce((sum, count) => sum + count, 0))
    assert.equal(times.waits, states.filter((spans, time) => !works[time] && spans.includes('wait')).length)
  })
})

/** Random states of some spans, each microsecond a piece if it is not covered, and the state of a row at a time. */
function somePieces(trace, whole) {
  const cut = list(trace.n, (row) => row).filter(() => whole(2))
  const states = new Map(cut.map((row) => [row, list(20, () => ['work', 'wait', 'covered'][whole(3)])]))
  const runs = (row, time) => trace.start[row] <= time && time < trace.end[row]
  const stateAt = (row, time) => (runs(row, time) ? states.get(row)?.[time] ?? 'work' : 'none')
  const pieces = list(20, (time) => cut.filter((row) => ['work', 'wait'].includes(stateAt(row, time))).map((row) => {
    const from = time - trace.start[0]
    return `${row} ${from} ${from + 1}${stateAt(row, time) === 'wait' ? ' waits' : ''}`
  })).flat()
  return { facts: cut.length ? factsWith(cut, ...pieces) : FACTS, stateAt }
}
