import assert from 'node:assert/strict'
import { test } from 'node:test'
import { layoutRowsOf, packingOf } from '../../../tokenvis/explorer/modules/model/layout.mjs'
import { colorIndexOf, highlightOf, layoutRowOf, marksIn, sceneOf } from '../../../tokenvis/explorer/modules/model/scene.mjs'
import { STATUS_BY_CODE } from '../../../tokenvis/explorer/modules/model/trace.mjs'
import { examples, list, someSpans, sorted, traceOfText } from './traces.mjs'

/** The scene of a trace in bands of locations, coloured by agent. */
function sceneOfText(rows, { folding = new Map(), shown = null, facts = null } = {}) {
  const trace = traceOfText(...rows)
  const packing = packingOf(trace, trace.location)
  const flags = shown ?? new Uint8Array(trace.agent.names.length).fill(1)
  const parts = { trace, map: trace.map, spanAxisTimes: trace, packing, hueColumn: trace.agent, shown: flags, facts }
  return sceneOf({ ...parts, layoutRows: layoutRowsOf(packing, folding) })
}

const ROWS = ['ann 0 10 lab', 'bob 2 4 desk', 'eve 3 3 desk', 'bob 12 12 lab'] // rows: 0 3 | 1 | 2
const facts = (...names) => {
  return { self: null, input: null, output: null, status: Uint8Array.from(names, (name) => STATUS_BY_CODE.indexOf(name)) }
}

test('colours and marks are by position, not by row of the trace', () => {
  const scene = sceneOfText(ROWS, { facts: facts('ok', 'error', '', 'open') })
  assert.deepEqual([...scene.placed.order], [0, 3, 1, 2])
  assert.deepEqual([...scene.colorIndex], [0, 1, 1, 2])
  assert.deepEqual(scene.marks, { errors: Uint32Array.of(2), open: Uint32Array.of(1), instants: Uint32Array.of(1, 3) })
  assert.deepEqual([...colorIndexOf(scene.placed, scene.trace.location)], [1, 1, 0, 0])
})

test('without facts, instants are the only marks', () => {
  const { placed } = sceneOfText(ROWS)
  const none = new Uint32Array()
  assert.deepEqual(marksIn(placed, null), { errors: none, open: none, instants: Uint32Array.of(1, 3) })
})

test('the ends of a strip are sorted', () => {
  const rows = ['ann 0 9 desk', 'bob 1 4 desk', 'eve 2 6 desk', 'eve 5 7 lab']
  const { ends } = sceneOfText(rows, { folding: new Map([[0, true]]) })
  assert.deepEqual(ends, new Map([[0, Float64Array.of(4, 6, 9)]]))
})

test('only shown spans are highlighted; nothing is highlighted if nothing is found', () => {
  const scene = sceneOfText(ROWS, { shown: Uint8Array.of(1, 0, 1) }) // without bob: 0 | | 2
  assert.deepEqual(highlightOf(scene, Uint32Array.of(1, 2)), { flags: Uint8Array.of(0, 1), positions: Uint32Array.of(1) })
  assert.equal(highlightOf(scene, new Uint32Array()), null)
})

test('the row of a span, in a lane and in a strip', () => {
  assert.deepEqual([0, 1, 2, 3].map((row) => layoutRowOf(sceneOfText(ROWS), row)), [0, 1, 2, 0])
  assert.deepEqual([0, 1, 2, 3].map((row) => layoutRowOf(sceneOfText(ROWS, { folding: new Map([[0, true]]) }), row)), [0, 1, 1, 0])
})

test('law: a span is placed in its row, and marks equal brute force', () => {
  const names = ['ok', 'error', 'open', '']
  examples(300, (whole) => {
    const rows = someSpans(whole)
    const knownFacts = facts(...rows.map(() => names[whole(4)]))
    const scene = sceneOfText(rows, { folding: new Map(list(3, (code) => [code, whole(2) === 1])), facts: knownFacts })
    const { order, first, start, end } = scene.placed
    scene.layoutRows.rowTop.forEach((_, row) => {
      for (let position = first[row]; position < first[row + 1]; position++) assert.equal(layoutRowOf(scene, order[position]), row)
    })
    const where = (is) => [...order.keys()].filter(is)
    assert.deepEqual([...scene.marks.instants], where((position) => start[position] === end[position]))
    assert.deepEqual([...scene.marks.errors], where((position) => knownFacts.status[order[position]] === 2))
    assert.deepEqual([...scene.marks.open], where((position) => knownFacts.status[order[position]] === 3))
    for (const [row, ends] of scene.ends) assert.deepEqual([...ends], sorted(end.slice(first[row], first[row + 1])))
    const wanted = Uint32Array.from(order).sort().filter(() => whole(2))
    const highlight = where((position) => wanted.includes(order[position]))
    assert.deepEqual([...highlightOf(scene, wanted)?.positions ?? []], highlight)
  })
})
