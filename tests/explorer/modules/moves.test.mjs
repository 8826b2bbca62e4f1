import assert from 'node:assert/strict'
import { test } from 'node:test'
import { moveIndexOf, movesIn } from '../../../tokenvis/explorer/modules/model/moves.mjs'
import { timeMap } from '../../../tokenvis/explorer/modules/model/timemap.mjs'
import { examples, list, someSpans, traceOfText } from './traces.mjs'

/** Moves as Python finds them in spans that do not nest: from one span of an agent to its next, where that is elsewhere. */
function movesOf({ n, agent, location }) {
  const [from, to] = [[], []]
  agent.names.forEach((_, code) => {
    const own = list(n, (row) => row).filter((row) => agent.codes[row] === code)
    own.slice(1).forEach((row, number) => {
      if (location.codes[row] === location.codes[own[number]]) return
      from.push(own[number])
      to.push(row)
    })
  })
  return { from, to, before: null, after: null }
}

const rowsOf = ({ from, to, leftAt, arrivedAt }) => list(from.length, (move) => [from[move], to[move], leftAt[move], arrivedAt[move]])

test('a route leads from the end of one span to the start of the next, by agent', () => {
  const trace = traceOfText('bob 0 2 desk', 'ann 1 4 desk', 'ann 6 8 lab', 'bob 7 9 lab', 'ann 9 9 desk')
  const moveIndex = moveIndexOf(trace, { from: [1, 2, 0], to: [2, 4, 3], before: null, after: null }, trace.map)
  assert.deepEqual(rowsOf(moveIndex), [[1, 2, 4, 6], [2, 4, 8, 9], [0, 3, 2, 7]])
  assert.deepEqual([...moveIndex.first], [0, 2, 3])
  assert.deepEqual([...moveIndex.latest], [6, 9, 7])
  assert.deepEqual([...moveIndex.earliest], [4, 8, 2])
})

test('moves of several agents may be interleaved', () => {
  const trace = traceOfText('bob 0 2 desk', 'ann 1 4 desk', 'ann 6 8 lab', 'bob 7 9 lab', 'ann 9 9 desk')
  const moveIndex = moveIndexOf(trace, { from: [1, 0, 2], to: [2, 3, 4], before: null, after: null }, trace.map)
  assert.deepEqual(rowsOf(moveIndex), [[1, 2, 4, 6], [2, 4, 8, 9], [0, 3, 2, 7]])
})

test('an agent may leave a span before its end, or arrive after its start', () => {
  const trace = traceOfText('ann 0 10 desk', 'ann 4 6 lab') // the lab is inside: left at 4, and back at 6
  const moveIndex = moveIndexOf(trace, { from: [0, 1], to: [1, 0], before: [6, 0], after: [0, 6] }, trace.map)
  assert.deepEqual(rowsOf(moveIndex), [[0, 1, 4, 4], [1, 0, 6, 6]])
})

test('moves are in axis times, also if gaps are folded', () => {
  const trace = traceOfText('ann 0 10 desk', 'ann 90 95 lab')
  const moveIndex = moveIndexOf(trace, { from: [0], to: [1], before: null, after: null }, timeMap([0, 10, 90, 95], [0, 10, 12, 17]))
  assert.deepEqual(rowsOf(moveIndex), [[0, 1, 10, 12]])
})

test('visible moves are those of shown agents, or only their number if there are too many', () => {
  const trace = traceOfText('ann 0 1 desk', 'ann 3 4 lab', 'ann 6 7 desk', 'bob 0 1 desk', 'bob 3 4 lab')
  const moveIndex = moveIndexOf(trace, movesOf(trace), trace.map)
  const both = Uint8Array.of(1, 1)
  assert.deepEqual(movesIn(moveIndex, both, 2, 2.5, 9), { n: 2, moves: [0, 2] })
  assert.deepEqual(movesIn(moveIndex, both, 3.5, 5, 9), { n: 1, moves: [1] })
  assert.deepEqual(movesIn(moveIndex, both, 7, 9, 9), { n: 0, moves: [] })
  assert.deepEqual(movesIn(moveIndex, Uint8Array.of(0, 1), 0, 9, 9), { n: 1, moves: [2] })
  assert.deepEqual(movesIn(moveIndex, both, 0, 9, 3), { n: 3, moves: [0, 1, 2] })
  assert.deepEqual(movesIn(moveIndex, both, 0, 9, 2), { n: 3, moves: [] })
})

/** The moves of shown agents whose curve, from leaving to arriving, crosses a range. */
function crossing({ leftAt, arrivedAt, to: rows }, agent, shown, from, to) {
  return list(rows.length, (move) => move).filter((move) => {
    const [x0, x1] = [leftAt[move], arrivedAt[move]]
    return shown[agent.codes[rows[move]]] && Math.max(x0, x1) > from && Math.min(x0, x1) < to
  })
}

test('a move that arrives before it leaves is visible at both times', () => {
  const trace = traceOfText('ann 0 10 desk', 'ann 2 20 lab') // a curve from 10 back to 2
  const moveIndex = moveIndexOf(trace, movesOf(trace), trace.map)
  const found = (from, to) => movesIn(moveIndex, Uint8Array.of(1), from, to, 9).moves
  assert.deepEqual(rowsOf(moveIndex), [[0, 1, 10, 2]])
  assert.deepEqual([found(0, 20), found(0, 5), found(5, 7), found(7, 20), found(12, 20)], [[0], [0], [0], [0], []])
})

for (const [what, apart] of [['for agents at one location at a time', true], ['for agents at several locations at once', false]]) {
  test(`law: every move that crosses the view is found, ${what}`, () => {
    examples(400, (whole) => {
      const trace = traceOfText(...(apart ? oneAtATime(whole) : someSpans(whole, 16)))
      const moveIndex = moveIndexOf(trace, movesOf(trace), trace.map)
      const shown = Uint8Array.from(trace.agent.names, () => whole(4) && 1)
      const from = whole(32) / 2 - 1
      const to = from + 0.5 + whole(12) / 2
      const { n, moves } = movesIn(moveIndex, shown, from, to, Infinity)
      const expected = crossing(moveIndex, trace.agent, shown, from, to)
      assert.equal(n, moves.length)
      assert.deepEqual(expected.filter((move) => !moves.includes(move)), [])
      if (apart) assert.deepEqual(moves.filter((move) => moveIndex.arrivedAt[move] < from || moveIndex.leftAt[move] >= to), [])
      assert.ok(moves.every((move) => shown[trace.agent.codes[moveIndex.to[move]]]))
    })
  })
}

/** Spans of agents that are at one location at a time. */
function oneAtATime(whole) {
  return ['ann', 'bob'].flatMap((agent) => {
    let free = 0
    return list(whole(8), () => {
      const start = free + whole(4)
      free = start + whole(4)
      return `${agent} ${start} ${free} ${['desk', 'lab', 'attic'][whole(3)]}`
    })
  })
}
