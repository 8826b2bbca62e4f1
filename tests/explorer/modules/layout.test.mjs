import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BAND_GAP, LANE_HEIGHT, MAX_UNFOLDED_LANES, STRIP_HEIGHT, layoutRowsOf, packingOf, placedSpans } from '../../../tokenvis/explorer/modules/model/layout.mjs'
import { examples, list, someSpans, traceOfText } from './traces.mjs'

const ROWS = ['ann 0 10 lab', 'bob 2 4 desk', 'eve 3 8 desk', 'bob 12 12 lab'] // desk needs two lanes, and comes second
const all = ({ agent }) => new Uint8Array(agent.names.length).fill(1)

test('bands come in order of their first span, each as high as its lanes', () => {
  const trace = traceOfText(...ROWS)
  const { bands, rowTop, rowBand, firstRow, height } = layoutRowsOf(packingOf(trace, trace.location), new Map())
  const [top, below] = [BAND_GAP / 2, BAND_GAP / 2 + LANE_HEIGHT + BAND_GAP]
  assert.deepEqual(bands, [
    { code: 1, name: 'lab', nLanes: 1, top, height: LANE_HEIGHT, firstRow: 0, nRows: 1, folded: false },
    { code: 0, name: 'desk', nLanes: 2, top: below, height: 2 * LANE_HEIGHT, firstRow: 1, nRows: 2, folded: false },
  ])
  assert.deepEqual([[...rowTop], [...rowBand], [...firstRow]], [[top, below, below + LANE_HEIGHT], [0, 1, 1], [1, 0]])
  assert.equal(height, below + 2 * LANE_HEIGHT + BAND_GAP / 2)
})

test('a folded band is one strip; one lane cannot be folded', () => {
  const trace = traceOfText(...ROWS)
  const { bands, rowTop } = layoutRowsOf(packingOf(trace, trace.location), new Map([[0, true], [1, true]]))
  assert.deepEqual(bands.map(({ name, height, nRows, folded }) => [name, height, nRows, folded]), [
    ['lab', LANE_HEIGHT, 1, false],
    ['desk', STRIP_HEIGHT, 1, true],
  ])
  assert.equal(rowTop.length, 2)
})

test('a band of many lanes is folded until the user unfolds it', () => {
  const folded = (nLanes, folding) => {
    const trace = traceOfText(...list(nLanes, (number) => `ann ${number} 99 desk`))
    return layoutRowsOf(packingOf(trace, trace.location), folding).bands[0].folded
  }
  assert.deepEqual([MAX_UNFOLDED_LANES, MAX_UNFOLDED_LANES + 1].map((nLanes) => folded(nLanes, new Map())), [false, true])
  assert.equal(folded(MAX_UNFOLDED_LANES + 1, new Map([[0, false]])), false)
})

test('the spans of shown agents are placed row by row', () => {
  const trace = traceOfText(...ROWS)
  const packing = packingOf(trace, trace.location)
  const spans = placedSpans(trace, trace, packing, layoutRowsOf(packing, new Map()), all(trace))
  assert.deepEqual([[...spans.order], [...spans.first]], [[0, 3, 1, 2], [0, 2, 3, 4]])
  assert.deepEqual([[...spans.start], [...spans.end]], [[0, 12, 2, 3], [10, 12, 4, 8]])
  const some = placedSpans(trace, trace, packing, layoutRowsOf(packing, new Map()), Uint8Array.of(1, 0, 1))
  assert.deepEqual([[...some.order], [...some.first]], [[0, 2], [0, 1, 1, 2]])
})

test('an empty trace has no bands and no height', () => {
  const trace = traceOfText()
  const packing = packingOf(trace, trace.location)
  const rows = layoutRowsOf(packing, new Map())
  assert.deepEqual([rows.bands, rows.height], [[], 0])
  assert.deepEqual([...placedSpans(trace, trace, packing, rows, all(trace)).first], [0])
})

test('law: each shown span is placed once, in a row of its band, in order, and lanes have no overlaps', () => {
  examples(300, (whole) => {
    const trace = traceOfText(...someSpans(whole, 20))
    const packing = packingOf(trace, whole(2) ? trace.location : trace.agent)
    const rows = layoutRowsOf(packing, new Map(packing.order.map((code) => [code, whole(2) === 1])))
    const shown = all(trace).map(() => whole(3) && 1)
    const { order, first, start, end } = placedSpans(trace, trace, packing, rows, shown)
    const expected = list(trace.n, (row) => row).filter((row) => shown[trace.agent.codes[row]])
    assert.deepEqual([...order].sort((one, other) => one - other), expected)
    assert.equal(first[first.length - 1], order.length)
    rows.rowTop.forEach((top, row) => {
      const band = rows.bands[rows.rowBand[row]]
      assert.ok(top >= band.top && top + (band.folded ? STRIP_HEIGHT : LANE_HEIGHT) <= band.top + band.height)
      for (let position = first[row]; position < first[row + 1]; position++) {
        const span = order[position]
        assert.deepEqual([start[position], end[position]], [trace.start[span], trace.end[span]])
        assert.equal(packing.column.codes[span], band.code)
        if (!band.folded) assert.equal(row - band.firstRow, packing.lane[span])
        if (position === first[row]) continue
        assert.ok(order[position - 1] < span)
        if (!band.folded) assert.ok(Math.max(end[position - 1], start[position - 1] + 1) <= start[position])
      }
    })
  })
})
