import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Session } from '../../../tokenvis/explorer/modules/model/session.mjs'
import { sourceOf } from './traces.mjs'

const TRACES = [{ id: 't', n: 1 }, { id: 'u', n: 1 }]
const OPENING = { traces: TRACES, trace: 't', steps: false, fold: true, state: { by: 'agent_id' } }

function sessionOf() {
  const source = sourceOf(['ann 0 10 desk'])
  const session = new Session(source, OPENING)
  const opened = []
  session.addEventListener('open', () => opened.push(session.model.id))
  return { source, session, opened }
}

test('the opening names the first trace and its state', () => {
  const { session, source } = sessionOf()
  assert.deepEqual([session.model.id, session.model.by, session.model.hue], ['t', 'agent_id', 'agent_id'])
  assert.deepEqual(source.asked, [['trace', { trace: 't' }]])
})

test('choosing another trace is reported, and keeps bands and colours', () => {
  const { session, source, opened } = sessionOf()
  session.model.requested.hue = 'location_id'
  session.choose('u')
  assert.deepEqual([session.model.id, session.model.by, session.model.hue], ['u', 'agent_id', 'location_id'])
  assert.deepEqual([source.reported, opened], [[{ trace: 'u' }], ['u']])
  assert.deepEqual(source.asked.at(-1), ['trace', { trace: 'u' }])
})

test('opening a trace from Python, or none, is not reported', () => {
  const { session, source, opened } = sessionOf()
  session.open('u', { trace: 'u', by: 'location_id' })
  assert.equal(session.model.by, 'location_id')
  session.open(null)
  assert.deepEqual([session.model.id, session.model.trace], [null, null])
  assert.deepEqual([source.reported, opened], [[], ['u', null]])
})

test('when the traces change, the shown one is renewed if it is in the list', async () => {
  const { session, source } = sessionOf()
  await session.model.opened
  const renewed = [{ id: 't', n: 2 }]
  source.asked.length = 0
  await session.renew(renewed)
  assert.deepEqual([session.model.traces, source.asked.map(([what]) => what)[0]], [renewed, 'trace'])
  session.open(null)
  source.asked.length = 0
  await session.renew(TRACES)
  assert.deepEqual([source.asked, session.model.traces], [[], TRACES])
  session.open('u')
  assert.equal(session.model.traces, TRACES)
})

test('following the traces is announced', () => {
  const { session } = sessionOf()
  const changes = []
  session.model.addEventListener('change', ({ detail }) => changes.push(detail))
  assert.equal(session.isLive, false)
  session.setLive(true)
  assert.deepEqual([session.isLive, changes], [true, ['live']])
  assert.equal(new Session(sourceOf([]), { ...OPENING, follow: true }).isLive, true)
})
