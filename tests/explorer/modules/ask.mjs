// Answers the questions of Python's tests: one case per line as JSON on stdin, one answer per line as JSON on stdout.
//
// Each case has a question. A message is {header, buffers}, with base64 buffers. One process answers all cases:
// starting node takes longer than hundreds of cases.

import { createInterface } from 'node:readline'
import { figuresOf } from '../../../tokenvis/explorer/modules/model/figures.mjs'
import { moveIndexOf } from '../../../tokenvis/explorer/modules/model/moves.mjs'
import { packLanes } from '../../../tokenvis/explorer/modules/model/packing.mjs'
import { timeMap, toAxisTime, toOffset, unfolded } from '../../../tokenvis/explorer/modules/model/timemap.mjs'
import { factsOf, movesOf, traceOf } from '../../../tokenvis/explorer/modules/model/trace.mjs'
import { columnsOf, rowsMessage } from '../../../tokenvis/explorer/modules/model/wire.mjs'

/** Decodes a message; its buffers are views, as in a notebook. */
function read({ header, buffers }) {
  const bytes = buffers.map((text) => Buffer.from(text, 'base64'))
  return { header, buffers: bytes.map(({ buffer, byteOffset, length }) => new DataView(buffer, byteOffset, length)) }
}

const answers = {
  pack({ trace }) {
    const { location, start, end } = traceOf(read(trace))
    return [...packLanes(location.codes, start, end, location.names.length).lane]
  },
  places({ knots, images, offsets }) {
    const map = timeMap(knots, images)
    return offsets.map((offset) => toAxisTime(map, offset))
  },
  offsets({ knots, images, places }) {
    const map = timeMap(knots, images)
    return places.map((place) => toOffset(map, place))
  },
  figures({ trace, facts, rows }) {
    return figuresOf(traceOf(read(trace)), factsOf(read(facts)), rows)
  },
  columns({ message }) {
    const { header, buffers } = read(message)
    return Object.fromEntries(Object.entries(columnsOf(header.columns, buffers)).map(([name, values]) => [name, [...values]]))
  },
  rows({ rows, count }) {
    const { as, buffer } = rowsMessage(Uint32Array.from(rows), count)
    return { as, buffer: Buffer.from(buffer).toString('base64') }
  },
  moves({ trace, moves }) {
    const spans = traceOf(read(trace))
    const { from, to, leftAt, arrivedAt } = moveIndexOf(spans, movesOf(read(moves)), unfolded(spans.map))
    return Array.from(from, (row, move) => [leftAt[move], arrivedAt[move], row, to[move]])
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const { question, ...params } = JSON.parse(line)
  console.log(JSON.stringify(answers[question](params)))
}
