import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StaleVersionError } from '../../../tokenvis/explorer/modules/model/fetching.mjs'
import { Model } from '../../../tokenvis/explorer/modules/model/model.mjs'
import { matchSpans, renew } from '../../../tokenvis/explorer/modules/model/renewal.mjs'
import { examples, messageOf, someSpans, sourceOf, traceMessage, traceOfText } from './traces.mjs'

const FEW = ['bob 10 20 lab', 'eve 12 16 desk', 'eve 30 40 desk']
const MORE = ['ann 0 50 attic', ...FEW, 'zoe 41 45 desk'] // rows and codes of names shift
const OPENING = { traces: [{ id: 't', n: 3 }], trace: 't', steps: false, fold: true, state: {} }

/** Resolves after pending work. */
const settled = () => new Promise((resolve) => { setTimeout(resolve, 5) })

/**
 * A model of a trace that grows: `grow(rows, origin)` replaces its spans; `origin` is the origin of its time map.
 * @param {string[]} rows
 * @param {Record<string, (params: any) => any>} [answers]
 */
async function growingOf(rows, answers = {}) {
  const now = { rows, origin: 0, version: 0, oldest: 0 }
  const versioned = (message) => ({ ...message, header: { ...message.header, version: now.version } })
  const source = sourceOf(rows, {
    trace: () => {
      const message = traceMessage(now.rows.map((row) => {
        const [agent, start, end, location] = row.split(' ')
        return [agent, Number(start) - now.origin, Number(end) - now.origin, location].join(' ')
      }))
      message.header.origin = now.origin
      return versioned(message)
    },
    column: ({ key, version }) => {
      if (version < now.oldest) throw new StaleVersionError('old')
      throw new Error(`no ${key}`)
    },
    ...answers,
  })
  const model = new Model(source, OPENING, 't', {})
  await model.opened
  await settled()
  const changes = []
  model.addEventListener('change', ({ detail }) => changes.push(detail))
  const grow = (/** @type {string[]} */ next, origin = 0) => Object.assign(now, { rows: next, origin, version: now.version + 1 })
  return { model, source, changes, grow, now }
}

const names = (model) => Array.from(model.shown.keys()).filter((code) => model.shown[code]).map((code) => model.trace.agent.names[code])

/** The window in absolute times. */
const times = (model) => model.windowOffsets().map((offset) => offset + model.trace.origin)

test('new spans are shown, and a window of the whole trace keeps showing all of it', async () => {
  const { model, grow, changes } = await growingOf(FEW)
  grow(MORE)
  await renew(model)
  assert.deepEqual([model.trace.n, names(model), times(model)], [5, ['ann', 'bob', 'eve', 'zoe'], [0, 50]])
  assert.equal(model.scene.trace, model.trace)
  assert.equal(model.figures.n, 5)
  assert.equal(changes.at(-1), 'renewal')
  assert.ok(!changes.includes('trace'))
})

test('a span waits once the span that it waits for has arrived', async () => {
  const waits = { cut: [0], piece_row: [0, 0], piece_start: [0, 20], piece_duration: [20, 30], piece_waits: [0, 1] }
  let pieces = {}
  const { model, grow } = await growingOf(['ann 0 50 desk'], { facts: () => messageOf({}, pieces) })
  assert.deepEqual(model.figures.times, { active: 50, busy: 50, waits: 0 })
  pieces = waits
  grow(['ann 0 50 desk', 'bob 20 40 lab'])
  await renew(model)
  assert.deepEqual(model.figures.times, { active: 40, busy: 40, waits: 10 })
})

test('the old picture stays until the new one is ready', async () => {
  const { model, grow } = await growingOf(FEW)
  const { scene } = model
  grow(MORE)
  const renewing = renew(model)
  await Promise.resolve()
  assert.equal(model.scene, scene)
  await renewing
  assert.notEqual(model.scene, scene)
})

test('the window stays at its times, though the origin of the axis shifts', async () => {
  const { model, source, grow } = await growingOf(FEW)
  model.setWindow(12, 18)
  source.reported.length = 0
  grow(MORE, -100)
  await renew(model)
  assert.deepEqual(times(model), [12, 18])
  assert.deepEqual(model.window, { from: 112, to: 118 })
  assert.deepEqual(source.reported, [])
})

test('the window stays at its times also with unfolded gaps', async () => {
  const { model, grow } = await growingOf(FEW)
  model.toggleGaps()
  model.setWindow(12, 18)
  grow(MORE)
  await renew(model)
  assert.deepEqual([model.fold, times(model)], [false, [12, 18]])
})

test('the same agents stay hidden, by their names', async () => {
  const { model, grow } = await growingOf(FEW)
  model.setShown(Uint8Array.of(0, 1))
  grow(MORE)
  await renew(model)
  assert.deepEqual(names(model), ['eve'])
  assert.deepEqual(Array.from(model.scene.placed.order, (row) => model.trace.start[row]).sort(), [12, 30])
})

test('the same bands stay folded, by their names', async () => {
  const { model, grow } = await growingOf(['bob 10 20 lab', 'eve 12 16 lab', 'eve 30 40 desk'])
  model.toggleBand(model.scene.layoutRows.bands.find(({ name }) => name === 'lab'))
  grow(['ann 0 50 attic', 'bob 10 20 lab', 'eve 12 16 lab', 'eve 30 40 desk'])
  await renew(model)
  assert.deepEqual(model.scene.layoutRows.bands.map(({ name, folded }) => [name, folded]), [['attic', false], ['lab', true], ['desk', false]])
})

test('the selection comes from Python, with its details', async () => {
  let rows = []
  const { model, source, grow } = await growingOf(FEW, { selection: () => messageOf({}, { rows }) })
  model.select(Uint32Array.of(1))
  await settled()
  source.reported.length = 0
  rows = [2]
  grow(MORE)
  await renew(model)
  assert.deepEqual([[...model.selected], model.focus, model.details.id, model.figures.n], [[2], 2, 's2', 1])
  assert.deepEqual(source.reported, [])
})

test('a selection made during a renewal is kept', async () => {
  let asked = 0
  let meanwhile = () => {}
  const { model, grow } = await growingOf(FEW, {
    selection: () => {
      asked++
      meanwhile()
      return messageOf({}, { rows: asked < 3 ? [] : [1] })
    },
  })
  meanwhile = () => asked === 2 && model.select(Uint32Array.of(0)) // a row of the old trace, while the new one is being fetched
  grow(MORE)
  await renew(model)
  assert.deepEqual([[...model.selected], asked], [[1], 3])
})

test('nothing changes while dragging', async () => {
  const { model, grow } = await growingOf(FEW)
  let endDrag = () => {}
  model.dragging = new Promise((resolve) => {
    endDrag = () => {
      model.dragging = null
      resolve(undefined)
    }
  })
  grow(MORE)
  const renewing = renew(model)
  await settled()
  assert.equal(model.trace.n, 3)
  model.setWindow(11, 17)
  endDrag()
  await renewing
  assert.deepEqual([model.trace.n, times(model)], [5, [11, 17]])
})

test('a search also finds new spans, and its current match stays', async () => {
  let rows = []
  const { model, grow } = await growingOf(FEW, { selection: () => messageOf({}, { rows }) })
  await model.search('eve')
  model.goToMatch(1)
  model.goToMatch(1)
  rows = [3]
  grow([...MORE, 'eve 44 46 desk'])
  await renew(model)
  assert.deepEqual([[...model.matches], model.matchIndex, model.query], [[2, 3, 5], 1, 'eve'])
})

test('visible labels are fetched before the picture changes', async () => {
  const { model, source, grow } = await growingOf(FEW)
  await model.fetchLabels([0, 2])
  source.asked.length = 0
  grow(MORE)
  await renew(model)
  assert.deepEqual([...model.labels], [[1, 'label 1'], [3, 'label 3']])
  const [, { rows, version }] = source.asked.find(([what]) => what === 'labels')
  assert.deepEqual([rows, version], [[1, 3], 1])
})

test('late answers about the old version are ignored', async () => {
  let answer = (_) => {}
  const { model, grow } = await growingOf(FEW, { details: () => new Promise((resolve) => { answer = resolve }) })
  model.select(Uint32Array.of(0))
  grow(MORE)
  await renew(model)
  answer(messageOf({ details: { id: 'old', label: '', data: null, parent: null } }))
  await settled()
  assert.equal(model.details, null)
})

test('many changes at once need few requests, and the last one is shown', async () => {
  const { model, source, grow } = await growingOf(FEW)
  source.asked.length = 0
  const renewals = []
  for (let count = 1; count < 20; count++) {
    grow([...MORE, ...FEW.slice(0, count % 3), 'zoe 41 45 attic'])
    renewals.push(renew(model))
  }
  await Promise.all(renewals)
  assert.equal(model.trace.version, 19)
  assert.ok(source.asked.filter(([what]) => what === 'trace').length <= 3)
})

test('without a change only the trace is requested', async () => {
  const { model, source, changes } = await growingOf(FEW)
  source.asked.length = 0
  await renew(model)
  assert.deepEqual([source.asked.map(([what]) => what), changes], [['trace'], []])
})

test('a stale version is fetched again, without an error message', async () => {
  let n = 0
  const { model, grow, now } = await growingOf(FEW, {
    column: ({ version }) => {
      if (version < now.oldest) throw new StaleVersionError('old')
      n++
      return messageOf({ key: 'kind', names: ['one'], colors: ['#000000'], legend: [], version }, { codes: now.rows.map(() => 0) })
    },
  })
  await model.setBy('kind')
  grow(MORE)
  now.oldest = 2
  const renewing = renew(model)
  await Promise.resolve()
  grow([...MORE, 'zoe 60 61 desk'])
  await renewing
  assert.deepEqual([model.trace.version, model.by, model.problem, model.scene.packing.lane.length, n], [2, 'kind', '', 6, 2])
})

test('a key that is gone is replaced by the default key', async () => {
  let isThere = true
  const { model, source, grow, now } = await growingOf(FEW, {
    column: () => {
      if (!isThere) throw new Error('too many values')
      return messageOf({ key: 'kind', names: ['one'], colors: ['#000000'], legend: [] }, { codes: now.rows.map(() => 0) })
    },
  })
  await model.setBy('kind')
  await model.setHue('kind')
  isThere = false
  source.reported.length = 0
  grow(MORE)
  await renew(model)
  assert.deepEqual([model.by, model.hue, model.problem], ['location_id', 'agent_id', 'too many values'])
  assert.deepEqual(source.reported, [{ by: 'location_id', version: 0 }, { hue: 'agent_id', version: 0 }])
})

test('a trace can become empty', async () => {
  const { model, grow } = await growingOf(FEW)
  await model.fetchLabels([0])
  grow([])
  await renew(model)
  assert.deepEqual([model.trace.n, model.figures.n, model.labels.size], [0, 0, 0])
  grow(FEW)
  await renew(model)
  assert.deepEqual([model.trace.n, times(model), names(model)], [3, [10, 40], ['bob', 'eve']])
})

test('law: a renewed trace is shown like a newly opened one, and the window stays', async () => {
  const cases = []
  examples(40, (whole) => cases.push([someSpans(whole), someSpans(whole), whole(9), 4 + whole(6), whole(7) - 3]))
  for (const [before, after, from, width, origin] of cases) {
    const { model, grow } = await growingOf(before)
    model.setWindow(from, from + width)
    const shown = times(model)
    const whole = model.fullWindow()
    const isWhole = model.window.from <= whole.from && model.window.to >= whole.to
    grow(after, origin)
    await renew(model)
    const fresh = await growingOf([])
    fresh.grow(after, origin)
    await renew(fresh.model)
    assert.deepEqual([...model.scene.placed.order], [...fresh.model.scene.placed.order])
    assert.deepEqual(model.figures, fresh.model.figures)
    const map = model.scene.map.offsets
    const [first, last] = [map[0] + origin, map[map.length - 1] + origin]
    if (isWhole) assert.deepEqual(model.window, model.fullWindow())
    else if (shown[0] >= first && shown[1] <= last) assert.deepEqual(times(model), shown)
  }
})

test('spans match by times and names, each once', () => {
  const [old, next] = [traceOfText(...FEW, 'eve 12 16 desk'), traceOfText('ann 0 1 desk', ...FEW, 'eve 12 16 desk', 'eve 12 17 desk')]
  for (const trace of [old, next]) trace.origin = 0
  assert.deepEqual([...matchSpans(old, next, [0, 1, 2, 3])], [[0, 1], [1, 2], [2, 3], [3, 5]])
  assert.deepEqual([...matchSpans(next, old, [0, 4])], [])
})
