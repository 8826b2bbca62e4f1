import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Model } from '../../../tokenvis/explorer/modules/model/model.mjs'
import { coded, examples, messageOf, someSpans, sourceOf } from './traces.mjs'

const ROWS = ['ann 0 10 lab', 'bob 2 4 desk', 'eve 3 8 desk', 'bob 12 20 lab'] // stands as 0 3 | 1 | 2
const LONG = ['ann 0 100 desk', 'bob 900 1000 lab'] // and 800 µs of nothing, folded to 50
const MAP = { offsets: [0, 100, 900, 1000], places: [0, 100, 150, 250] }
const OPENING = { traces: [{ id: 't', n: 4 }], trace: 't', steps: false, fold: true, state: {} }

/** Until a model has changed in some part. */
const changed = (model, part) => new Promise((resolve) => {
  const listen = ({ detail }) => {
    if (detail !== part) return
    model.removeEventListener('change', listen)
    resolve(undefined)
  }
  model.addEventListener('change', listen)
})

/** A model of a trace that is written as text, with all that it fetches by itself. */
async function modelOf(rows = ROWS, { state = {}, answers = {}, map = undefined, fold = true } = {}) {
  const source = sourceOf(rows, answers, map)
  const model = new Model(source, { ...OPENING, fold }, 't', state)
  await changed(model, 'facts')
  return { model, source, changes: changesOf(model) }
}

/** The parts that change from now on. */
function changesOf(model) {
  const parts = []
  model.addEventListener('change', ({ detail }) => parts.push(detail))
  return parts
}

const column = (...values) => {
  const { codes, key } = coded(values)
  return ({ key: name }) => messageOf({ key: name, ...key }, { codes })
}

const told = ({ from, to }) => [from, to]

test('a trace is opened: all of it, coloured by agent, in bands of locations', async () => {
  const { model, source } = await modelOf()
  assert.deepEqual(told(model.window), [0, 20])
  assert.deepEqual([model.by, model.hue, model.keys], ['location_id', 'agent_id', ['agent_id', 'location_id', 'tool']])
  assert.deepEqual([...model.scene.placed.order], [0, 3, 1, 2])
  assert.deepEqual(model.figures, { n: 4, wall: 20, active: 18, busy: 25, input: null, output: null })
  assert.deepEqual(source.asked.map(([what]) => what), ['trace', 'keys', 'facts', 'moves', 'selection'])
  assert.ok(source.asked.every(([, { trace }]) => trace === 't'))
  assert.deepEqual(source.said, [])
})

test('without a trace nothing is asked', () => {
  const source = sourceOf(ROWS)
  const model = new Model(source, { ...OPENING, traces: [], trace: null }, null, {})
  assert.deepEqual([source.asked, model.trace, model.scene, model.offsets()], [[], null, null, [0, 1]])
  for (const act of ['fit', 'fitSelection', 'toggleGaps', 'toggleMoves', 'refigure', 'place', 'light']) model[act]()
  model.step(1)
  model.toMatch(1)
  assert.deepEqual([...model.rowsShown()], [])
})

test('an empty trace can be shown', async () => {
  const { model } = await modelOf([])
  model.step(1)
  model.fit()
  assert.deepEqual([model.figures.n, model.scene.rows.bands, model.zoom()], [0, [], 1])
})

test('what Python set before the page opened', async () => {
  const state = { by: 'agent_id', hue: 'tool', window: [2, 12], agents: [0, 2] }
  const { model, source } = await modelOf(ROWS, { state, answers: { column: column('x', 'y', 'x', 'x') } })
  assert.deepEqual([model.by, model.hue, told(model.window), [...model.shown]], ['agent_id', 'tool', [2, 12], [1, 0, 1]])
  assert.deepEqual([...model.scene.tint], [0, 0])
  assert.deepEqual(source.asked[1], ['column', { trace: 't', key: 'tool' }])
  assert.deepEqual(source.said, [])
})

test('a key that is not there is told, and the first ones are taken', async () => {
  const { model } = await modelOf(ROWS, { state: { by: 'phase', hue: 'tool' } })
  assert.deepEqual([model.by, model.hue, model.problem], ['location_id', 'agent_id', 'Nobody knows column.'])
})

test('a trace that does not come is told', async () => {
  const source = sourceOf(ROWS, { trace: () => { throw new Error('The kernel has gone.') } })
  const model = new Model(source, OPENING, 't', {})
  await changed(model, 'problem')
  assert.deepEqual([model.problem, model.trace, model.scene], ['The kernel has gone.', null, null])
})

test('facts, moves and the selection come after the first frame', async () => {
  const { model, source } = await modelOf(ROWS, {
    answers: {
      facts: () => messageOf({}, { self: [10, 2, 5, 1], status: [0, 2, 0, 3], input: [1, 2, 3, 4] }),
      moves: () => messageOf({}, { from: [1], to: [3] }),
      selection: () => messageOf({}, { rows: [1, 3] }),
    },
  })
  assert.deepEqual(model.scene.marks, { errors: Uint32Array.of(2), open: Uint32Array.of(1), instants: new Uint32Array() })
  assert.deepEqual([[...model.routes.left], [...model.routes.arrived]], [[4], [12]])
  assert.deepEqual(model.selected, Uint32Array.of(1, 3))
  assert.deepEqual(model.figures, { n: 2, wall: 18, active: 10, busy: 3, input: 6, output: null })
  assert.deepEqual(model.scene.lit.positions, Uint32Array.of(1, 2))
  assert.deepEqual(source.said, [])
})

test('bands and colours of another key; what a user chose is told', async () => {
  const { model, source, changes } = await modelOf(ROWS, { answers: { column: column('x', 'y', 'x', 'z') } })
  model.toggleBand(model.scene.rows.bands[1])
  assert.deepEqual(model.scene.rows.bands.map(({ name, folded }) => [name, folded]), [['lab', false], ['desk', true]])
  await model.setBy('tool')
  assert.deepEqual(model.scene.rows.bands.map(({ name, folded }) => [name, folded]), [['x', false], ['y', false], ['z', false]])
  await model.setHue('tool')
  assert.deepEqual([[...model.scene.placed.order], [...model.scene.tint]], [[0, 2, 1, 3], [0, 0, 1, 2]])
  assert.deepEqual(source.said, [{ by: 'tool' }, { hue: 'tool' }])
  assert.deepEqual(source.asked.filter(([what]) => what === 'column').length, 1)
  assert.deepEqual(changes, ['scene', 'scene', 'by', 'hue'])
})

test('what Python says is done and not told again', async () => {
  const { model, source } = await modelOf()
  model.apply({ by: 'agent_id', hue: 'location_id', window: [4, 12], agents: [1, 2] }, messageOf({}, { rows: [1, 2] }))
  await new Promise((resolve) => setTimeout(resolve, 0))
  assert.deepEqual([model.by, model.hue, told(model.window), [...model.shown]], ['agent_id', 'location_id', [4, 12], [0, 1, 1]])
  assert.deepEqual([model.selected, model.figures.n], [Uint32Array.of(1, 2), 2])
  assert.deepEqual(source.said, [])
})

test('the window stays in the trace, and is never too short', async () => {
  const { model, source } = await modelOf()
  const after = (from, to) => (model.setWindow(from, to), told(model.window))
  assert.deepEqual([after(5, 12), after(-9, 1), after(18, 30)], [[5, 12], [0, 10], [8, 20]])
  assert.deepEqual([after(-99, 99), after(10, 10)], [[0, 20], [8, 12]])
  assert.deepEqual(source.said[0], { window: [5, 12] })
  assert.equal(source.said.length, 5)
})

test('a trace shorter than the shortest window stands in its middle', async () => {
  const { model } = await modelOf(['ann 7 7 desk'])
  assert.deepEqual([told(model.window), model.zoom()], [[5, 9], 1])
})

test('zooming keeps the place that it is about, panning the width', async () => {
  const { model } = await modelOf()
  model.zoomBy(2)
  assert.deepEqual([told(model.window), model.zoom()], [[5, 15], 2])
  model.zoomBy(2, 7)
  assert.deepEqual(told(model.window), [6, 11])
  model.panBy(0.2)
  assert.deepEqual(told(model.window), [7, 12])
  model.panBy(1e9)
  assert.deepEqual(told(model.window), [15, 20])
  model.zoomBy(1 / 100)
  assert.deepEqual(told(model.window), [0, 20])
  model.zoomBy(100, 20)
  assert.deepEqual(told(model.window), [16, 20])
})

test('windows cross as offsets, where gaps are folded', async () => {
  const { model, source } = await modelOf(LONG, { map: MAP })
  model.setWindow(50, 125)
  assert.deepEqual(source.said, [{ window: [50, 500] }])
  model.toggleGaps()
  assert.deepEqual([told(model.window), told(model.whole()), model.fold], [[50, 500], [0, 1000], false])
  model.toggleGaps()
  assert.deepEqual([told(model.window), told(model.whole()), model.fold], [[50, 125], [0, 250], true])
})

test('gaps can be shown from the beginning', async () => {
  const { model } = await modelOf(LONG, { map: MAP, fold: false, state: { window: [0, 500] } })
  assert.deepEqual([told(model.window), [...model.scene.placed.start]], [[0, 500], [0, 900]])
})

test('agents are hidden: their spans are not placed, and do not count', async () => {
  const { model, source } = await modelOf()
  model.setShown(Uint8Array.of(1, 0, 1))
  assert.deepEqual([[...model.scene.placed.order], model.figures.n, [...model.rowsShown()]], [[0, 2], 2, [0, 2]])
  assert.deepEqual(source.said, [{ agents: [0, 2] }])
})

test('a span is selected: its details are fetched, and it counts alone', async () => {
  const { model, source } = await modelOf()
  model.select(Uint32Array.of(2))
  await changed(model, 'details')
  assert.deepEqual([model.focus, model.details.id, model.figures.busy, model.scene.lit], [2, 's2', 5, null])
  assert.deepEqual(source.said, [{ selection: true, rows: [2], count: 4 }])
  model.select(new Uint32Array())
  assert.deepEqual([model.focus, model.details, model.figures.n], [-1, null, 4])
})

test('details that come late, of a span that is no longer selected, are not shown', async () => {
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

test('several that are selected stand out', async () => {
  const { model } = await modelOf()
  model.select(Uint32Array.of(0, 2))
  assert.deepEqual([model.focus, model.scene.lit.flags], [-1, Uint8Array.of(1, 0, 0, 1)])
})

test('the selection is shown with a margin', async () => {
  const { model } = await modelOf(['ann 0 1000 desk', 'bob 400 500 desk', 'eve 450 600 lab'])
  model.fitSelection()
  assert.deepEqual(told(model.window), [0, 1000])
  model.select(Uint32Array.of(1, 2))
  model.fitSelection()
  assert.deepEqual(told(model.window), [380, 620])
})

test('from one span to the next, as they stand', async () => {
  const { model } = await modelOf()
  const revealed = []
  model.addEventListener('reveal', ({ detail }) => revealed.push(detail))
  const steps = (...each) => each.map((step) => (model.step(step), model.focus))
  assert.deepEqual(steps(1, 1, 1, 1, 1, -1), [0, 3, 1, 2, 2, 1])
  assert.deepEqual(revealed, [0, 3, 1, 2, 2, 1])
})

test('a span out of view is brought into its middle', async () => {
  const { model } = await modelOf(['ann 0 10 desk', 'ann 500 510 desk', 'ann 990 1000 desk'])
  model.setWindow(0, 100)
  model.reveal(0)
  assert.deepEqual(told(model.window), [0, 100])
  model.reveal(1)
  assert.deepEqual(told(model.window), [455, 555])
})

test('search finds labels, agents and locations, in capitals or not', async () => {
  const { model, source } = await modelOf(ROWS, { answers: { search: () => messageOf({}, { rows: [0] }) } })
  await model.search(' BOB ')
  assert.deepEqual(source.asked.at(-1), ['search', { trace: 't', query: 'bob' }])
  assert.deepEqual([model.matches, model.scene.lit.positions], [Uint32Array.of(0, 1, 3), Uint32Array.of(0, 1, 2)])
  await model.search('  ')
  assert.deepEqual([model.matches, model.scene.lit], [new Uint32Array(), null])
  assert.equal(source.asked.filter(([what]) => what === 'search').length, 1)
})

test('from match to match, around the end', async () => {
  const { model } = await modelOf()
  await model.search('desk')
  const steps = (...each) => each.map((step) => (model.toMatch(step), [model.match, model.focus]))
  assert.deepEqual(steps(1, 1, 1, -1), [[0, 1], [1, 2], [0, 1], [1, 2]])
  await model.search('desk')
  assert.deepEqual(steps(-1), [[1, 2]])
})

test('spans of agents that are hidden are not found', async () => {
  const { model } = await modelOf()
  model.setShown(Uint8Array.of(1, 1, 0))
  await model.search('desk')
  assert.deepEqual(model.matches, Uint32Array.of(1))
})

test('an answer to an earlier search is not taken', async () => {
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

test('law: windows stay inside, keep their width where they can, and come back from where they crossed', async () => {
  const { model, source } = await modelOf(LONG, { map: MAP })
  examples(300, (whole) => {
    const act = whole(4)
    const at = model.window.from + (whole(5) / 4) * (model.window.to - model.window.from)
    if (act === 0) model.setWindow(whole(300) - 25, whole(300) - 25)
    if (act === 1) model.zoomBy([0.5, 0.9, 1.4, 3][whole(4)], at)
    if (act === 2) model.panBy((whole(9) - 4) / 4)
    if (act === 3) model.toggleGaps()
    const [all, { from, to }] = [model.whole(), model.window]
    assert.ok(from >= all.from - 1e-9 && to <= all.to + 1e-9 && to - from >= 4 - 1e-9, `${from} to ${to}`)
    if (act < 3) assert.deepEqual(source.said.at(-1), { window: model.offsets() })
    const before = told(model.window)
    model.apply({ window: model.offsets() })
    told(model.window).forEach((end, number) => assert.ok(Math.abs(end - before[number]) < 1e-6))
  })
})

test('law: whatever the spans, all that is shown is counted', async () => {
  const traces = []
  examples(30, (whole) => traces.push([someSpans(whole), whole(8)]))
  for (const [rows, flags] of traces) {
    const { model } = await modelOf(rows)
    model.setShown(model.shown.map((_, code) => (flags >> code) & 1))
    const shown = [...model.trace.agent.codes].filter((code) => model.shown[code]).length
    assert.deepEqual([model.figures.n, model.scene.placed.order.length, model.rowsShown().length], [shown, shown, shown])
  }
})
