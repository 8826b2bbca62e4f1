import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WIDE, marksOf, pixelsOf, sweepRow, touching } from '../../../tokenvis/explorer/modules/canvas/runs.mjs'
import { examples, list, someLane, sorted } from './traces.mjs'

/** Sweep all of a lane: its bars, and each pixel's share and colour. */
function swept({ start, end }, tint, stretch) {
  const pixels = pixelsOf(stretch.width)
  const bars = []
  sweepRow({ start, end }, tint, 0, start.length, stretch, pixels, (position, x0, x1) => bars.push([position, x0, x1]))
  return { bars, cover: [...pixels.cover], tint: [...pixels.tint] }
}

const lane = (...spans) => ({ start: Float64Array.from(spans, (at) => at[0]), end: Float64Array.from(spans, (at) => at[1]) })

test('a span as wide as a few pixels is a bar, also where it begins before the view or ends after it', () => {
  const { bars, tint } = swept(lane([0, 12], [13, 16], [18, 99]), [0, 1, 2], { left: 10, scale: 1, width: 10 })
  assert.deepEqual(bars, [[0, -10, 2], [1, 3, 6], [2, 8, 89]])
  assert.deepEqual(tint, list(10, () => -1))
})

test('thinner ones are counted into pixels: the share that is taken, and the colour that runs longest', () => {
  const spans = lane([0, 1], [1, 4], [6, 9], [12, 12])
  assert.deepEqual(swept(spans, [5, 6, 7, 8], { left: 0, scale: 0.25, width: 4 }), {
    bars: [],
    cover: [1, 0.5, 0.25, 0],
    tint: [6, 7, 7, 8],
  })
})

test('a span that ended where the view begins is not there, an instant is', () => {
  assert.deepEqual(swept(lane([0, 2]), [1], { left: 2, scale: 1, width: 2 }).tint, [-1, -1])
  assert.deepEqual(swept(lane([2, 2]), [1], { left: 2, scale: 1, width: 2 }).tint, [1, -1])
})

test('a bar that begins in the pixel of others is still a bar', () => {
  const { bars, cover, tint } = swept(lane([0, 1], [2, 30]), [3, 4], { left: 0, scale: 0.25, width: 8 })
  assert.deepEqual([bars, cover[0], tint[0]], [[[1, 0.5, 7.5]], 0.25, 3])
})

test('of very many in one pixel a few stand for all', () => {
  const spans = lane(...list(1000, (number) => [number * 2, number * 2 + 1]))
  const { cover, tint } = swept(spans, list(1000, () => 4), { left: 0, scale: 1 / 2000, width: 1 })
  assert.ok(Math.abs(cover[0] - 0.5) < 1e-6)
  assert.equal(tint[0], 4)
})

test('pixels are emptied first', () => {
  const pixels = pixelsOf(2)
  const stretch = { left: 0, scale: 1, width: 2 }
  for (const spans of [lane([0, 2]), lane()]) sweepRow(spans, [0], 0, spans.start.length, stretch, pixels, () => {})
  assert.deepEqual([[...pixels.cover], [...pixels.tint]], [[0, 0], [-1, -1]])
})

/** A stretch whose edges of pixels are exact: a power of two pixels a µs. @param {number} finest at most 2 ** finest */
const someStretch = (whole, finest = 2) => ({ left: whole(40) / 2 - 2, scale: 2 ** (finest - whole(4)), width: 1 + whole(14) })

/** Of each pixel, the time of each colour in it, in pixels, and whether an instant is there. */
function looked({ start, end }, tint, { left, scale, width }) {
  return list(width, (pixel) => {
    const times = new Map()
    let [sum, instant, carried] = [0, false, false]
    for (let position = 0; position < start.length; position++) {
      const [x0, x1] = [(start[position] - left) * scale, (end[position] - left) * scale]
      if (x1 - x0 >= WIDE) continue
      const inside = Math.min(x1, pixel + 1) - Math.max(x0, pixel)
      if (x0 === x1 && Math.min(Math.floor(x0), width - 1) === pixel && x0 <= width) instant = true
      if (inside <= 0 || x0 === x1) continue
      times.set(tint[position], (times.get(tint[position]) ?? 0) + inside)
      sum += inside
      carried ||= x0 < pixel && pixel > 0
    }
    return { times, sum, instant, carried }
  })
}

test('law: bars and shares are those of each span looked at, and the colour is one that runs longest', () => {
  examples(600, (whole) => {
    const spans = someLane(whole, 20)
    const tint = list(spans.start.length, () => whole(3))
    const stretch = someStretch(whole)
    const { left, scale, width } = stretch
    const { bars, cover, tint: colors } = swept(spans, tint, stretch)
    const all = list(spans.start.length, (position) => position).filter((position) => {
      return spans.end[position] >= left && (spans.start[position] - left) * scale < width
    })
    const wide = all.filter((position) => (spans.end[position] - spans.start[position]) * scale >= WIDE)
    assert.deepEqual(bars.map(([position]) => position), wide)
    looked(spans, tint, stretch).forEach(({ times, sum, instant, carried }, pixel) => {
      assert.ok(Math.abs(cover[pixel] - sum) < 1e-6, `pixel ${pixel}: ${cover[pixel]} is not ${sum}`)
      if (!sum && !instant) assert.equal(colors[pixel], -1)
      if (!sum) return
      const longest = Math.max(...times.values())
      if (carried) assert.ok(times.has(colors[pixel])) // what reaches into a pixel is compared span by span
      else assert.ok(Math.abs(times.get(colors[pixel]) - longest) < 1e-6, `pixel ${pixel}: ${colors[pixel]}`)
    })
  })
})

test('how many touch each pixel', () => {
  const [starts, ends] = [Float64Array.of(0, 1, 1), Float64Array.of(1, 3, 9)]
  assert.deepEqual([...touching(starts, ends, { left: 0, scale: 1, width: 6 })], [1, 3, 2, 2, 1, 1])
  assert.deepEqual([...touching(starts, ends, { left: 20, scale: 1, width: 2 })], [0, 0])
  assert.deepEqual([...touching(new Float64Array(), new Float64Array(), { left: 0, scale: 1, width: 2 })], [0, 0])
})

test('law: as many touch a pixel as begin before its right edge and have not ended before its left', () => {
  examples(400, (whole) => {
    const spans = list(whole(20), () => whole(12)).map((start) => [start, start + whole(7)])
    const stretch = someStretch(whole)
    const [starts, ends] = [0, 1].map((end) => Float64Array.from(sorted(spans.map((span) => span[end]))))
    const counts = touching(starts, ends, stretch)
    const expected = list(stretch.width, (pixel) => {
      const [from, to] = [pixel, pixel + 1].map((x) => stretch.left + x / stretch.scale)
      return spans.filter(([start, end]) => start < to && end >= from).length
    })
    assert.deepEqual([...counts], expected)
  })
})

/** @param {number[]} positions @param {number[]} starts */
function marks(positions, starts, stretch, from = 0, to = starts.length) {
  const found = []
  marksOf(Uint32Array.from(positions), Float64Array.from(starts), from, to, stretch, (position, x) => found.push([position, x]))
  return found
}

test('one mark for each pixel that has any', () => {
  const starts = [0, 1, 2, 3, 8, 9]
  assert.deepEqual(marks([1, 2, 3, 5], starts, { left: 0, scale: 0.5, width: 10 }), [[1, 0.5], [2, 1], [5, 4.5]])
  assert.deepEqual(marks([1, 2, 3, 5], starts, { left: 2.5, scale: 1, width: 2 }), [[3, 0.5]])
  assert.deepEqual(marks([1, 2, 3, 5], starts, { left: 0, scale: 1, width: 9 }, 2, 5), [[2, 2], [3, 3]])
  assert.deepEqual(marks([], starts, { left: 0, scale: 1, width: 9 }), [])
})

test('law: the mark of a pixel is the first that begins in it', () => {
  examples(400, (whole) => {
    const starts = sorted(list(whole(24), () => whole(16)))
    const positions = list(starts.length, (position) => position).filter(() => whole(2))
    const from = whole(starts.length + 1)
    const to = from + whole(starts.length - from + 1)
    const stretch = someStretch(whole)
    const first = new Map()
    for (const position of positions) {
      const x = (starts[position] - stretch.left) * stretch.scale
      const inside = position >= from && position < to && x >= 0 && x <= stretch.width
      if (inside && !first.has(Math.floor(x))) first.set(Math.floor(x), [position, x])
    }
    assert.deepEqual(marks(positions, starts, stretch, from, to), [...first.values()])
  })
})
