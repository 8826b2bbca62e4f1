import assert from 'node:assert/strict'
import { test } from 'node:test'
import { factsOf, keyColumnOf, movesOf, rowsOfMessage, traceOf } from '../../../tokenvis/explorer/modules/model/trace.mjs'
import { messageOf, traceMessage, traceOfText } from './traces.mjs'

test('a trace in the order of a frame', () => {
  const { id, n, start, end, agent, location } = traceOfText('bob 5 9 lab', 'ann 2 5 desk', 'ann 5 5 lab')
  assert.deepEqual([id, n, [...start], [...end]], ['t', 3, [2, 5, 5], [5, 5, 9]])
  assert.deepEqual([agent.key, agent.names, [...agent.codes]], ['agent_id', ['ann', 'bob'], [0, 0, 1]])
  assert.deepEqual([location.key, location.names, [...location.codes]], ['location_id', ['desk', 'lab'], [0, 1, 1]])
})

test('times are relative to the origin of the map; a trace may start before it', () => {
  const message = traceMessage(['ann 2 5 desk', 'ann 6 7 desk'], { offsets: [-3, 2], places: [-3, 2] })
  message.header.first = -3
  const { start, end, map, clock } = traceOf(message)
  assert.deepEqual([[...start], [...end], [...map.offsets], clock], [[-3, 1], [0, 2], [-3, 2], null])
})

test('the number of lost spans; pages of earlier versions have none', () => {
  const message = traceMessage(['ann 2 5 desk'])
  assert.equal(traceOf(message).lost, 0)
  message.header.lost = 1234
  assert.equal(traceOf(message).lost, 1234)
})

test('a message can be read twice', () => {
  const message = traceMessage(['ann 2 5 desk'])
  assert.deepEqual([traceOf(message).start[0], traceOf(message).start[0]], [2, 2])
})

test('an empty trace', () => {
  const { n, start, end, agent } = traceOfText()
  assert.deepEqual([n, start.length, end.length, agent.names], [0, 0, 0, []])
})

test('a key column', () => {
  const header = { key: 'tool', names: ['grep', '(none)'], colors: ['#111111', '#222222'], legend: [['grep', '#111111']] }
  const { key, names, colors, legend, codes } = keyColumnOf(messageOf(header, { codes: [1, 0] }))
  assert.deepEqual({ key, names, colors, legend }, header)
  assert.deepEqual([...codes], [1, 0])
})

test('known facts', () => {
  assert.deepEqual(factsOf(messageOf({})), { pieces: null, input: null, output: null, status: null })
  const { pieces, input, output, status } = factsOf(messageOf({}, { output: [8] }))
  assert.deepEqual([pieces, input, output, status], [null, null, Uint32Array.of(8), null])
})

test('pieces of the spans that do not work for all of their time', () => {
  const columns = { cut: [4], piece_row: [4, 4], piece_start: [0, 7], piece_duration: [5, 2] }
  const of = (...values) => Uint32Array.of(...values)
  const pieces = { cut: of(4), row: of(4, 4), start: of(0, 7), duration: of(5, 2), waits: null }
  assert.deepEqual(factsOf(messageOf({}, columns)).pieces, pieces)
  assert.deepEqual(factsOf(messageOf({}, { ...columns, piece_waits: [0, 1] })).pieces, { ...pieces, waits: of(0, 1) })
})

test('moves and rows', () => {
  const moves = movesOf(messageOf({}, { from: [0], to: [2], before: [5] }))
  assert.deepEqual(moves, { from: Uint32Array.of(0), to: Uint32Array.of(2), before: Uint32Array.of(5), after: null })
  assert.deepEqual(rowsOfMessage(messageOf({}, { rows: [2, 3, 9] })), Uint32Array.of(2, 3, 9))
  assert.deepEqual(rowsOfMessage(messageOf({}, { rows: [] })), new Uint32Array())
})
