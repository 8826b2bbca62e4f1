import assert from 'node:assert/strict'
import { test } from 'node:test'
import { layoutRowAt, spansAt, spansIn } from '../../../tokenvis/explorer/modules/canvas/hits.mjs'
import { BAND_GAP, BAR_HEIGHT, LANE_HEIGHT, STRIP_HEIGHT, layoutRowsOf, packingOf, placedSpans } from '../../../tokenvis/explorer/modules/model/layout.mjs'
import { examples, list, someLane, someSpans, traceOfText } from './traces.mjs'

const NEAR = 4 // pixels

function layoutOf(rows, folding = new Map()) {
  const trace = traceOfText(...rows)
  const packing = packingOf(trace, trace.location)
  const layout = layoutRowsOf(packing, folding)
  const shown = new Uint8Array(trace.agent.names.length).fill(1)
  return { trace, rows: layout, placed: placedSpans(trace, trace, packing, layout, shown) }
}

const ROWS = ['ann 0 10 lab', 'bob 2 4 desk', 'eve 3 8 desk', 'bob 12 12 lab'] // lab; desk in two lanes

test('the row at a vertical position, or none between bands', () => {
  const { rows } = layoutOf(ROWS)
  const lab = BAND_GAP / 2
  const desk = lab + LANE_HEIGHT + BAND_GAP
  const heights = [0, lab, lab + BAR_HEIGHT + 2, lab + BAR_HEIGHT + 3, desk - 1, desk, desk + LANE_HEIGHT - 1, desk + LANE_HEIGHT, desk + LANE_HEIGHT + BAR_HEIGHT, 999]
  assert.deepEqual(heights.map((y) => layoutRowAt(rows, y)), [-1, 0, 0, -1, -1, 1, -1, 2, 2, -1])
})

test('a strip is hit at its full height', () => {
  const { rows } = layoutOf(ROWS, new Map([[0, true]]))
  const desk = BAND_GAP / 2 + LANE_HEIGHT + BAND_GAP
  assert.deepEqual([desk, desk + STRIP_HEIGHT, desk + STRIP_HEIGHT + 1].map((y) => layoutRowAt(rows, y)), [1, 1, -1])
})

test('the spans that share a pixel, else the nearest one', () => {
  const lane = { start: Float64Array.of(0, 10, 20), end: Float64Array.of(8, 12, 20), first: Uint32Array.of(0, 3) }
  assert.deepEqual(spansAt(lane, 0, 5, 1), { from: 0, to: 1 })
  assert.deepEqual(spansAt(lane, 0, 9, 0.5), { from: 0, to: 1 }) // [8, 10) in this pixel
  assert.deepEqual(spansAt(lane, 0, 11, 0.1), { from: 0, to: 2 }) // [6, 16)
  assert.deepEqual(spansAt(lane, 0, 9.4, 1), { from: 1, to: 2 }) // nothing at [8.9, 9.9): nearer to 10 than to 8
  assert.deepEqual(spansAt(lane, 0, 17, 1), { from: 2, to: 3 })
  assert.equal(spansAt(lane, 0, 15, 2), null) // 6 pixels after 12, 10 before 20
  assert.equal(spansAt({ ...lane, first: Uint32Array.of(0, 0) }, 0, 5, 1), null)
})

test('law: spans at an axis time equal those found by brute force', () => {
  examples(600, (whole) => {
    const { start, end } = someLane(whole)
    const from = whole(start.length + 1)
    const to = from + whole(start.length - from + 1)
    const [axisTime, scale] = [whole(80) / 2 - 2, 2 ** (2 - whole(4))]
    const found = spansAt({ start, end, first: Uint32Array.of(from, to) }, 0, axisTime, scale)
    const row = list(to - from, (number) => from + number)
    const half = 0.5 / scale
    const under = row.filter((position) => end[position] >= axisTime - half && start[position] < axisTime + half)
    const distances = row.map((position) => Math.max(start[position] - axisTime, axisTime - end[position], 0) * scale)
    const nearest = Math.min(...distances)
    if (under.length) {
      assert.deepEqual(list(found.to - found.from, (number) => found.from + number), under)
    } else if (nearest <= NEAR) {
      assert.equal(found.to, found.from + 1)
      assert.equal(distances[found.from - from], nearest)
    } else {
      assert.equal(found, null)
    }
  })
})

test('a box selects what it touches', () => {
  const { rows, placed: spans } = layoutOf(ROWS)
  const box = (from, to, top, bottom) => [...spansIn(rows, spans, { from, to, top, bottom })]
  assert.deepEqual(box(0, 99, 0, 999), [0, 1, 2, 3])
  assert.deepEqual(box(10, 12, 0, 999), [0, 3])
  assert.deepEqual(box(10.5, 11.5, 0, 999), [])
  assert.deepEqual(box(0, 99, 0, BAND_GAP / 2), [0, 3])
  assert.deepEqual(box(0, 99, BAND_GAP / 2 + BAR_HEIGHT + 1, BAND_GAP / 2 + LANE_HEIGHT), [])
})

test('law: a box selects each span whose bar, or strip, it touches', () => {
  examples(400, (whole) => {
    const folding = new Map(list(3, (code) => [code, whole(2) === 1]))
    const { trace, rows, placed: spans } = layoutOf(someSpans(whole, 16), folding)
    const [from, top] = [whole(32) / 2 - 1, whole(200) - 10]
    const [to, bottom] = [from + whole(12) / 2, top + whole(80)]
    const expected = []
    rows.rowTop.forEach((rowTop, row) => {
      const height = rows.bands[rows.rowBand[row]].folded ? STRIP_HEIGHT : BAR_HEIGHT
      if (rowTop > bottom || rowTop + height < top) return
      expected.push(...spans.order.slice(spans.first[row], spans.first[row + 1]))
    })
    const inside = expected.filter((row) => trace.start[row] <= to && trace.end[row] >= from).sort((one, other) => one - other)
    assert.deepEqual([...spansIn(rows, spans, { from, to, top, bottom })], inside)
  })
})
