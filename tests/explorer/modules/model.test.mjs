import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Model } from '../../../tokenvis/explorer/modules/model/model.mjs'
import { coded, examples, messageOf, someSpans, sourceOf } from './traces.mjs'

const ROWS = ['ann 0 10 lab', 'bob 2 4 desk', 'eve 3 8 desk', 'bob 12 20 lab'] // rows: 0 3 | 1 | 2
const LONG = ['ann 0 100 desk', 'bob 900 1000 lab'] // and an idle gap of 800 µs, folded to 50
const MAP = { offsets: [0, 100, 900, 1000], places: [0, 100, 150, 250] }
const PIECES = { cut: [3], piece_row: [3, 3], piece_start: [12, 13], piece_duration: [1, 7], piece_waits: [0, 1] } // bob waits at 13
const OPENING = { traces: [{ id: 't', n: 4 }], trace: 't', steps: false, fold: true, state: {} }

/** Resolves when a part of a model changes. */
const changed = (model, part) => new Promise((resolve) => {
  const listen = ({ detail }) => {
    if (detail !== part) return
    model.removeEventListener('change', listen)
    resolve(undefined)
  }
  model.addEventListener('change', listen)
})

/** A model of a trace written as text, after it has fetched everything. */
async function modelOf(rows = ROWS, { state = {}, answers = {}, map = undefined, fold = true } = {}) {
  const source = sourceOf(rows, answers, map)
  const model = new Model(source, { ...OPENING, fold }, 't', state)
  await changed(model, 'facts')
  return { model, source, changes: changesOf(model) }
}

/** Records the parts that change from now on. */
function changesOf(model) {
  const parts = []
  model.addEventListener('change', ({ detail }) => parts.push(detail))
  return parts
}

const column = (...values) => {
  const { codes, key } = coded(values)
  return ({ key: name }) => messageOf({ key: name, ...key }, { codes })
}

const ends = ({ from, to }) => [from, to]

test('opening a trace shows all of it, coloured by agent, in bands of locations', async () => {
  const { model, source } = await modelOf()
  assert.deepEqual(ends(model.window), [0, 20])
  assert.deepEqual([model.by, model.hue, model.keys], ['location_id', 'agent_id', ['agent_id', 'location_id', 'tool']])
  assert.deepEqual([...model.scene.placed.order], [0, 3, 1, 2])
  const times = { active: 18, busy: 25, waits: 0 }
  assert.deepEqual(model.figures, { n: 4, wall: 20, times, input: null, output: null })
  assert.deepEqual(source.asked.map(([what]) => what), ['trace', 'keys', 'facts', 'moves', 'selection'])
  assert.ok(source.asked.every(([, { trace }]) => trace === 't'))
  assert.deepEqual(source.reported, [])
})

test('without a trace there are no requests', () => {
  const source = sourceOf(ROWS)
  const model = new Model(source, { ...OPENING, traces: [], trace: null }, null, {})
  assert.deepEqual([source.asked, model.trace, model.scene, model.windowOffsets()], [[], null, null, [0, 1]])
  for (const act of ['fit', 'fitSelection', 'toggleGaps', 'toggleMoves', 'updateFigures', 'updateScene', 'updateHighlight']) model[act]()
  model.step(1)
  model.goToMatch(1)
  assert.deepEqual([...model.rowsShown()], [])
})

test('an empty trace can be shown', async () => {
  const { model } = await modelOf([])
  model.step(1)
  model.fit()
  assert.deepEqual([model.figures.n, model.scene.layoutRows.bands, model.zoom()], [0, [], 1])
})

test('state that Python set before the page opened is applied', async () => {
  const state = { by: 'agent_id', hue: 'tool', window: [2, 12], agents: [0, 2] }
  const { model, source } = await modelOf(ROWS, { state, answers: { column: column('x', 'y', 'x', 'x') } })
  assert.deepEqual([model.by, model.hue, ends(model.window), [...model.shown]], ['agent_id', 'tool', [2, 12], [1, 0, 1]])
  assert.deepEqual([...model.scene.colorIndex], [0, 0])
  assert.deepEqual(source.asked[1], ['column', { trace: 't', key: 'tool' }])
  assert.deepEqual(source.reported, [])
})

test('a missing key is reported, and the default keys are used', async () => {
  const { model } = await modelOf(ROWS, { state: { by: 'phase', hue: 'tool' } })
  assert.deepEqual([model.by, model.hue, model.problem], ['location_id', 'agent_id', 'No answer to column.'])
})

test('a trace that cannot be fetched is reported', async () => {
  const source = sourceOf(ROWS, { trace: () => { throw new Error('The kernel has gone.') } })
  const model = new Model(source, OPENING, 't', {})
  await changed(model, 'problem')
  assert.deepEqual([model.problem, model.trace, model.scene], ['The kernel has gone.', null, null])
})

test('facts, moves and the selection come after the first frame', async () => {
  const { model, source } = await modelOf(ROWS, {
    answers: {
      facts: () => messageOf({}, { ...PIECES, status: [0, 2, 0, 3], input: [1, 2, 3, 4] }),
      moves: () => messageOf({}, { from: [1], to: [3] }),
      selection: () => messageOf({}, { rows: [1, 3] }),
    },
  })
  assert.deepEqual(model.scene.marks, { errors: Uint32Array.of(2), open: Uint32Array.of(1), instants: new Uint32Array() })
  assert.deepEqual([[...model.moveIndex.leftAt], [...model.moveIndex.arrivedAt]], [[4], [12]])
  assert.deepEqual(model.selected, Uint32Array.of(1, 3))
  assert.deepEqual(model.figures, { n: 2, wall: 18, times: { active: 3, busy: 3, waits: 7 }, input: 6, output: null })
  assert.deepEqual(model.scene.highlight.positions, Uint32Array.of(1, 2))
  assert.deepEqual(source.reported, [])
})

test('bands and colours change by key, and the choice is reported', async () => {
  const { model, source, changes } = await modelOf(ROWS, { answers: { column: column('x', 'y', 'x', 'z') } })
  model.toggleBand(model.scene.layoutRows.bands[1])
  assert.deepEqual(model.scene.layoutRows.bands.map(({ name, folded }) => [name, folded]), [['lab', false], ['desk', true]])
  await model.setBy('tool')
  assert.deepEqual(model.scene.layoutRows.bands.map(({ name, folded }) => [name, folded]), [['x', false], ['y', false], ['z', false]])
  await model.setHue('tool')
  assert.deepEqual([[...model.scene.placed.order], [...model.scene.colorIndex]], [[0, 2, 1, 3], [0, 0, 1, 2]])
  assert.deepEqual(source.reported, [{ by: 'tool' }, { hue: 'tool' }])
  assert.deepEqual(source.asked.filter(([what]) => what === 'column').length, 1)
  assert.deepEqual(changes, ['scene', 'scene', 'by', 'hue'])
})

test('state from Python is applied and not reported back', async () => {
  const { model, source } = await modelOf()
  model.apply({ by: 'agent_id', hue: 'location_id', window: [4, 12], agents: [1, 2] }, messageOf({}, { rows: [1, 2] }))
  await new Promise((resolve) => setTimeout(resolve, 0))
  assert.deepEqual([model.by, model.hue, ends(model.window), [...model.shown]], ['agent_id', 'location_id', [4, 12], [0, 1, 1]])
  assert.deepEqual([model.selected, model.figures.n], [Uint32Array.of(1, 2), 2])
  assert.deepEqual(source.reported, [])
})

test('the window stays in the trace, and is never too short', async () => {
  const { model, source } = await modelOf()
  const after = (from, to) => (model.setWindow(from, to), ends(model.window))
  assert.deepEqual([after(5, 12), after(-9, 1), after(18, 30)], [[5, 12], [0, 10], [8, 20]])
  assert.deepEqual([after(-99, 99), after(10, 10)], [[0, 20], [8, 12]])
  assert.deepEqual(source.reported[0], { window: [5, 12] })
  assert.equal(source.reported.length, 5)
})

test('a trace shorter than the shortest window is centred', async () => {
  const { model } = await modelOf(['ann 7 7 desk'])
  assert.deepEqual([ends(model.window), model.zoom()], [[5, 9], 1])
})

test('zooming keeps its centre, panning keeps the width', async () => {
  const { model } = await modelOf()
  model.zoomBy(2)
  assert.deepEqual([ends(model.window), model.zoom()], [[5, 15], 2])
  model.zoomBy(2, 7)
  assert.deepEqual(ends(model.window), [6, 11])
  model.panBy(0.2)
  assert.deepEqual(ends(model.window), [7, 12])
  model.panBy(1e9)
  assert.deepEqual(ends(model.window), [15, 20])
  model.zoomBy(1 / 100)
  assert.deepEqual(ends(model.window), [0, 20])
  model.zoomBy(100, 20)
  assert.deepEqual(ends(model.window), [16, 20])
})

test('windows are sent as offsets, also if gaps are folded', async () => {
  const { model, source } = await modelOf(LONG, { map: MAP })
  model.setWindow(50, 125)
  assert.deepEqual(source.reported, [{ window: [50, 500] }])
  model.toggleGaps()
  assert.deepEqual([ends(model.window), ends(model.fullWindow()), model.fold], [[50, 500], [0, 1000], false])
  model.toggleGaps()
  assert.deepEqual([ends(model.window), ends(model.fullWindow()), model.fold], [[50, 125], [0, 250], true])
})

test('gaps can be unfolded at the start', async () => {
  const { model } = await modelOf(LONG, { map: MAP, fold: false, state: { window: [0, 500] } })
  assert.deepEqual([ends(model.window), [...model.scene.placed.start]], [[0, 500], [0, 900]])
})

test('spans of hidden agents are not placed and not counted', async () => {
  const { model, source } = await modelOf()
  model.setShown(Uint8Array.of(1, 0, 1))
  assert.deepEqual([[...model.scene.placed.order], model.figures.n, [...model.rowsShown()]], [[0, 2], 2, [0, 2]])
  assert.deepEqual(source.reported, [{ agents: [0, 2] }])
})

test('selecting a span fetches its details, and the figures are of it alone', async () => {
  const { model, source } = await modelOf()
  model.select(Uint32Array.of(2))
  await changed(model, 'details')
  assert.deepEqual([model.focus, model.details.id, model.figures.times.busy, model.scene.highlight], [2, 's2', 5, null])
  assert.deepEqual(source.reported, [{ selection: true, rows: [2], count: 4 }])
  model.select(new Uint32Array())
  assert.deepEqual([model.focus, model.details, model.figures.n], [-1, null, 4])
})

test('late details of a span that is no longer selected are ignored', async () => {
  const waiting = []
  const details = ({ row }) => new Promise((resolve) => waiting.push(() => resolve(messageOf({ details: { id: `s${row}` } }))))
  const { model } = await modelOf(ROWS, { answers: { details } })
  model.select(Uint32Array.of(1))
  model.select(Uint32Array.of(2))
  waiting[1]()
  await changed(model, 'details')
  waiting[0]()
  await new Promise((resolve) => setTimeout(resolve, 0))
  assert.equal(model.details.id, 's2')
})

test('several selected spans are highlighted', async () => {
  const { model } = await modelOf()
  model.select(Uint32Array.of(0, 2))
  assert.deepEqual([model.focus, model.scene.highlight.flags], [-1, Uint8Array.of(1, 0, 0, 1)])
})

test('zooming to the selection leaves a margin', async () => {
  const { model } = await modelOf(['ann 0 1000 desk', 'bob 400 500 desk', 'eve 450 600 lab'])
  model.fitSelection()
  assert.deepEqual(ends(model.window), [0, 1000])
  model.select(Uint32Array.of(1, 2))
  model.fitSelection()
  assert.deepEqual(ends(model.window), [380, 620])
})

test('stepping follows the order of the rows', async () => {
  const { model } = await modelOf()
  const revealed = []
  model.addEventListener('reveal', ({ detail }) => revealed.push(detail))
  const steps = (...each) => each.map((step) => (model.step(step), model.focus))
  assert.deepEqual(steps(1, 1, 1, 1, 1, -1), [0, 3, 1, 2, 2, 1])
  assert.deepEqual(revealed, [0, 3, 1, 2, 2, 1])
})

test('a span out of view is centred', async () => {
  const { model } = await modelOf(['ann 0 10 desk', 'ann 500 510 desk', 'ann 990 1000 desk'])
  model.setWindow(0, 100)
  model.reveal(0)
  assert.deepEqual(ends(model.window), [0, 100])
  model.reveal(1)
  assert.deepEqual(ends(model.window), [455, 555])
})

test('search finds labels, agents and locations, ignoring case', async () => {
  const { model, source } = await modelOf(ROWS, { answers: { search: () => messageOf({}, { rows: [0] }) } })
  await model.search(' BOB ')
  assert.deepEqual(source.asked.at(-1), ['search', { trace: 't', query: 'bob' }])
  assert.deepEqual([model.matches, model.scene.highlight.positions], [Uint32Array.of(0, 1, 3), Uint32Array.of(0, 1, 2)])
  await model.search('  ')
  assert.deepEqual([model.matches, model.scene.highlight], [new Uint32Array(), null])
  assert.equal(source.asked.filter(([what]) => what === 'search').length, 1)
})

test('matches wrap around at the end', async () => {
  const { model } = await modelOf()
  await model.search('desk')
  const steps = (...each) => each.map((step) => (model.goToMatch(step), [model.matchIndex, model.focus]))
  assert.deepEqual(steps(1, 1, 1, -1), [[0, 1], [1, 2], [0, 1], [1, 2]])
  await model.search('desk')
  assert.deepEqual(steps(-1), [[1, 2]])
})

test('search ignores spans of hidden agents', async () => {
  const { model } = await modelOf()
  model.setShown(Uint8Array.of(1, 1, 0))
  await model.search('desk')
  assert.deepEqual(model.matches, Uint32Array.of(1))
})

test('an answer to an earlier search is ignored', async () => {
  const waiting = []
  const answers = { search: () => new Promise((resolve) => waiting.push((rows) => resolve(messageOf({}, { rows })))) }
  const { model } = await modelOf(ROWS, { answers })
  const both = [model.search('first'), model.search('second')]
  waiting[1]([2])
  waiting[0]([0])
  await Promise.all(both)
  assert.deepEqual(model.matches, Uint32Array.of(2))
})

test('labels are fetched once', async () => {
  const { model, source } = await modelOf()
  await model.fetchLabels([0, 2])
  await model.fetchLabels([2, 3])
  await model.fetchLabels([0])
  assert.deepEqual([...model.labels], [[0, 'label 0'], [2, 'label 2'], [3, 'label 3']])
  assert.deepEqual(source.asked.filter(([what]) => what === 'labels').map(([, { rows }]) => rows), [[0, 2], [3]])
})

test('law: windows stay inside the trace, and survive the round trip through Python', async () => {
  const { model, source } = await modelOf(LONG, { map: MAP })
  examples(300, (whole) => {
    const act = whole(4)
    const at = model.window.from + (whole(5) / 4) * (model.window.to - model.window.from)
    if (act === 0) model.setWindow(whole(300) - 25, whole(300) - 25)
    if (act === 1) model.zoomBy([0.5, 0.9, 1.4, 3][whole(4)], at)
    if (act === 2) model.panBy((whole(9) - 4) / 4)
    if (act === 3) model.toggleGaps()
    const [all, { from, to }] = [model.fullWindow(), model.window]
    assert.ok(from >= all.from - 1e-9 && to <= all.to + 1e-9 && to - from >= 4 - 1e-9, `${from} to ${to}`)
    if (act < 3) assert.deepEqual(source.reported.at(-1), { window: model.windowOffsets() })
    const before = ends(model.window)
    model.apply({ window: model.windowOffsets() })
    ends(model.window).forEach((end, number) => assert.ok(Math.abs(end - before[number]) < 1e-6))
  })
})

test('law: the figures count all shown spans', async () => {
  const traces = []
  examples(30, (whole) => traces.push([someSpans(whole), whole(8)]))
  for (const [rows, flags] of traces) {
    const { model } = await modelOf(rows)
    model.setShown(model.shown.map((_, code) => (flags >> code) & 1))
    const shown = [...model.trace.agent.codes].filter((code) => model.shown[code]).length
    assert.deepEqual([model.figures.n, model.scene.placed.order.length, model.rowsShown().length], [shown, shown, shown])
  }
})
