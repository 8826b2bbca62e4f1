import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MIN_BAR_WIDTH, emptyPixels, forEachMark, spansPerPixel, sweepRow } from '../../../tokenvis/explorer/modules/canvas/runs.mjs'
import { examples, list, someLane, sorted } from './traces.mjs'

/** Sweeps a whole lane: its bars, and the share and colour of each pixel. */
function swept({ start, end }, colorIndex, grid) {
  const pixels = emptyPixels(grid.width)
  const bars = []
  sweepRow({ start, end }, colorIndex, 0, start.length, grid, pixels, (position, x0, x1) => bars.push([position, x0, x1]))
  return { bars, cover: [...pixels.coverage], colorIndex: [...pixels.colorIndex] }
}

const lane = (...spans) => ({ start: Float64Array.from(spans, (at) => at[0]), end: Float64Array.from(spans, (at) => at[1]) })

test('a span a few pixels wide is a bar, also if it starts before the view or ends after it', () => {
  const { bars, colorIndex } = swept(lane([0, 12], [13, 16], [18, 99]), [0, 1, 2], { left: 10, scale: 1, width: 10 })
  assert.deepEqual(bars, [[0, -10, 2], [1, 3, 6], [2, 8, 89]])
  assert.deepEqual(colorIndex, list(10, () => -1))
})

test('thinner spans are counted into pixels: the covered share, and the colour that covers most', () => {
  const spans = lane([0, 1], [1, 4], [6, 9], [12, 12])
  assert.deepEqual(swept(spans, [5, 6, 7, 8], { left: 0, scale: 0.25, width: 4 }), {
    bars: [],
    cover: [1, 0.5, 0.25, 0],
    colorIndex: [6, 7, 7, 8],
  })
})

test('a span that ends at the left edge is not visible, an instant there is', () => {
  assert.deepEqual(swept(lane([0, 2]), [1], { left: 2, scale: 1, width: 2 }).colorIndex, [-1, -1])
  assert.deepEqual(swept(lane([2, 2]), [1], { left: 2, scale: 1, width: 2 }).colorIndex, [1, -1])
})

test('a bar that starts in the pixel of other spans is still a bar', () => {
  const { bars, cover, colorIndex } = swept(lane([0, 1], [2, 30]), [3, 4], { left: 0, scale: 0.25, width: 8 })
  assert.deepEqual([bars, cover[0], colorIndex[0]], [[[1, 0.5, 7.5]], 0.25, 3])
})

test('very many spans in one pixel are sampled', () => {
  const spans = lane(...list(1000, (number) => [number * 2, number * 2 + 1]))
  const { cover, colorIndex } = swept(spans, list(1000, () => 4), { left: 0, scale: 1 / 2000, width: 1 })
  assert.ok(Math.abs(cover[0] - 0.5) < 1e-6)
  assert.equal(colorIndex[0], 4)
})

test('pixels are cleared first', () => {
  const pixels = emptyPixels(2)
  const grid = { left: 0, scale: 1, width: 2 }
  for (const spans of [lane([0, 2]), lane()]) sweepRow(spans, [0], 0, spans.start.length, grid, pixels, () => {})
  assert.deepEqual([[...pixels.coverage], [...pixels.colorIndex]], [[0, 0], [-1, -1]])
})

/** A grid with exact pixel edges: a power of two pixels per µs. @param {number} finest at most 2 ** finest */
const someGrid = (whole, finest = 2) => ({ left: whole(40) / 2 - 2, scale: 2 ** (finest - whole(4)), width: 1 + whole(14) })

/** For each pixel, by brute force: the time of each colour, in pixels, and whether it contains an instant. */
function bruteForce({ start, end }, colorIndex, { left, scale, width }) {
  return list(width, (pixel) => {
    const times = new Map()
    let [sum, instant, carried] = [0, false, false]
    for (let position = 0; position < start.length; position++) {
      const [x0, x1] = [(start[position] - left) * scale, (end[position] - left) * scale]
      if (x1 - x0 >= MIN_BAR_WIDTH) continue
      const inside = Math.min(x1, pixel + 1) - Math.max(x0, pixel)
      if (x0 === x1 && Math.min(Math.floor(x0), width - 1) === pixel && x0 <= width) instant = true
      if (inside <= 0 || x0 === x1) continue
      times.set(colorIndex[position], (times.get(colorIndex[position]) ?? 0) + inside)
      sum += inside
      carried ||= x0 < pixel && pixel > 0
    }
    return { times, sum, instant, carried }
  })
}

test('law: bars and shares equal brute force, and the colour is one that covers most', () => {
  examples(600, (whole) => {
    const spans = someLane(whole, 20)
    const colorIndex = list(spans.start.length, () => whole(3))
    const grid = someGrid(whole)
    const { left, scale, width } = grid
    const { bars, cover, colorIndex: colors } = swept(spans, colorIndex, grid)
    const all = list(spans.start.length, (position) => position).filter((position) => {
      return spans.end[position] >= left && (spans.start[position] - left) * scale < width
    })
    const wide = all.filter((position) => (spans.end[position] - spans.start[position]) * scale >= MIN_BAR_WIDTH)
    assert.deepEqual(bars.map(([position]) => position), wide)
    bruteForce(spans, colorIndex, grid).forEach(({ times, sum, instant, carried }, pixel) => {
      assert.ok(Math.abs(cover[pixel] - sum) < 1e-6, `pixel ${pixel}: ${cover[pixel]} is not ${sum}`)
      if (!sum && !instant) assert.equal(colors[pixel], -1)
      if (!sum) return
      const largest = Math.max(...times.values())
      if (carried) assert.ok(times.has(colors[pixel])) // spans that extend into a pixel are compared one by one
      else assert.ok(Math.abs(times.get(colors[pixel]) - largest) < 1e-6, `pixel ${pixel}: ${colors[pixel]}`)
    })
  })
})

test('spans per pixel of a strip', () => {
  const [starts, ends] = [Float64Array.of(0, 1, 1), Float64Array.of(1, 3, 9)]
  assert.deepEqual([...spansPerPixel(starts, ends, { left: 0, scale: 1, width: 6 })], [1, 3, 2, 2, 1, 1])
  assert.deepEqual([...spansPerPixel(starts, ends, { left: 20, scale: 1, width: 2 })], [0, 0])
  assert.deepEqual([...spansPerPixel(new Float64Array(), new Float64Array(), { left: 0, scale: 1, width: 2 })], [0, 0])
})

test('law: a span touches a pixel if it starts before its right edge and ends after its left edge', () => {
  examples(400, (whole) => {
    const spans = list(whole(20), () => whole(12)).map((start) => [start, start + whole(7)])
    const grid = someGrid(whole)
    const [starts, ends] = [0, 1].map((end) => Float64Array.from(sorted(spans.map((span) => span[end]))))
    const counts = spansPerPixel(starts, ends, grid)
    const expected = list(grid.width, (pixel) => {
      const [from, to] = [pixel, pixel + 1].map((x) => grid.left + x / grid.scale)
      return spans.filter(([start, end]) => start < to && end >= from).length
    })
    assert.deepEqual([...counts], expected)
  })
})

/** @param {number[]} positions @param {number[]} starts */
function marks(positions, starts, grid, from = 0, to = starts.length) {
  const found = []
  forEachMark(Uint32Array.from(positions), Float64Array.from(starts), from, to, grid, (position, x) => found.push([position, x]))
  return found
}

test('one mark per marked pixel', () => {
  const starts = [0, 1, 2, 3, 8, 9]
  assert.deepEqual(marks([1, 2, 3, 5], starts, { left: 0, scale: 0.5, width: 10 }), [[1, 0.5], [2, 1], [5, 4.5]])
  assert.deepEqual(marks([1, 2, 3, 5], starts, { left: 2.5, scale: 1, width: 2 }), [[3, 0.5]])
  assert.deepEqual(marks([1, 2, 3, 5], starts, { left: 0, scale: 1, width: 9 }, 2, 5), [[2, 2], [3, 3]])
  assert.deepEqual(marks([], starts, { left: 0, scale: 1, width: 9 }), [])
})

test('law: the mark of a pixel is the first that starts in it', () => {
  examples(400, (whole) => {
    const starts = sorted(list(whole(24), () => whole(16)))
    const positions = list(starts.length, (position) => position).filter(() => whole(2))
    const from = whole(starts.length + 1)
    const to = from + whole(starts.length - from + 1)
    const grid = someGrid(whole)
    const first = new Map()
    for (const position of positions) {
      const x = (starts[position] - grid.left) * grid.scale
      const inside = position >= from && position < to && x >= 0 && x <= grid.width
      if (inside && !first.has(Math.floor(x))) first.set(Math.floor(x), [position, x])
    }
    assert.deepEqual(marks(positions, starts, grid, from, to), [...first.values()])
  })
})
