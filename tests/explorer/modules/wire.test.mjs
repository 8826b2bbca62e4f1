import assert from 'node:assert/strict'
import { test } from 'node:test'
import { columnsOf, rowsMessage } from '../../../tokenvis/explorer/modules/model/wire.mjs'
import { examples, list, sorted } from './traces.mjs'

const one = (spec, ...buffers) => columnsOf([{ name: 'x', ascending: false, n_wide: 0, ...spec }], buffers).x

test('numbers that fit are stored directly', () => {
  assert.deepEqual(one({ type: 'u8' }, Uint8Array.of(0, 7, 254).buffer), Uint8Array.of(0, 7, 254))
  assert.deepEqual(one({ type: 'u16' }, Uint16Array.of(300).buffer), Uint16Array.of(300))
  assert.deepEqual(one({ type: 'u32' }, Uint32Array.of(70_000).buffer), Uint32Array.of(70_000))
  assert.deepEqual(one({ type: 'u8' }, new ArrayBuffer(0)), new Uint8Array())
})

test('a wide value is stored separately, with its row', () => {
  const [narrow, rows, values] = [Uint8Array.of(1, 255, 255, 4), Uint32Array.of(1, 2), Float64Array.of(-5, 2 ** 53)]
  const read = one({ type: 'u8', n_wide: 2 }, narrow.buffer, rows.buffer, values.buffer)
  assert.deepEqual(read, Float64Array.of(1, -5, 2 ** 53, 4))
})

test('ascending numbers are sent as differences, some of them wide', () => {
  assert.deepEqual(one({ type: 'u8', ascending: true }, Uint8Array.of(3, 0, 4).buffer), Float64Array.of(3, 3, 7))
  const [narrow, rows, values] = [Uint8Array.of(3, 255, 1), Uint32Array.of(1), Float64Array.of(1e12)]
  const read = one({ type: 'u8', ascending: true, n_wide: 1 }, narrow.buffer, rows.buffer, values.buffer)
  assert.deepEqual(read, Float64Array.of(3, 3 + 1e12, 4 + 1e12))
})

test('a view into a larger buffer may start at any offset', () => {
  const bytes = new Uint8Array([9, 9, 9, 1, 0, 0, 0, 2, 0, 0, 0, 9])
  assert.deepEqual(one({ type: 'u32' }, new DataView(bytes.buffer, 3, 8)), Uint32Array.of(1, 2))
})

test('columns read their buffers in order', () => {
  const specs = [['a', 'u8', 1], ['b', 'u16', 0]].map(([name, type, n_wide]) => ({ name, type, ascending: false, n_wide }))
  const buffers = [Uint8Array.of(255).buffer, Uint32Array.of(0).buffer, Float64Array.of(0.5).buffer, Uint16Array.of(6).buffer]
  assert.deepEqual(columnsOf(specs, buffers), { a: Float64Array.of(0.5), b: Uint16Array.of(6) })
})

test('rows are sent as numbers, or as bits if that is shorter', () => {
  const few = rowsMessage(Uint32Array.of(2, 5), 9)
  assert.deepEqual([few.as, new Uint32Array(few.buffer)], ['rows', Uint32Array.of(2, 5)])
  const many = rowsMessage(Uint32Array.from(list(1000, (row) => row * 3)), 3000)
  assert.deepEqual([many.as, many.buffer.byteLength], ['bits', 375])
  assert.deepEqual(new Uint8Array(many.buffer).slice(0, 3), Uint8Array.of(0b10010010, 0b01001001, 0b00100100))
})

test('rows in a larger array are sent without the rest', () => {
  assert.deepEqual(new Uint32Array(rowsMessage(Uint32Array.of(1, 2, 3, 4).subarray(1, 3), 9).buffer), Uint32Array.of(2, 3))
})

/** Encodes a column like Python. */
function written(values, bits, ascending) {
  const highest = 2 ** bits - 1
  const steps = values.map((value, row) => (ascending && row ? value - values[row - 1] : value))
  const wide = [...steps.keys()].filter((row) => steps[row] < 0 || steps[row] >= highest)
  const Narrow = { 8: Uint8Array, 16: Uint16Array, 32: Uint32Array }[bits]
  const narrow = Narrow.from(steps, (value, row) => (wide.includes(row) ? highest : value))
  const apart = wide.length ? [Uint32Array.from(wide).buffer, Float64Array.from(wide, (row) => steps[row]).buffer] : []
  return [{ name: 'x', type: `u${bits}`, ascending, n_wide: wide.length }, [narrow.buffer, ...apart]]
}

test('law: columns survive a round trip, in each type', () => {
  const edges = [0, 1, 254, 255, 256, 65534, 65535, 65536, 2 ** 32 - 2, 2 ** 32 - 1, 2 ** 32, 2 ** 51]
  examples(300, (whole) => {
    const ascending = whole(2) === 1
    const any = list(whole(8), () => edges[whole(edges.length)] * (ascending || whole(4) ? 1 : -1))
    const values = ascending ? sorted(any) : any
    for (const bits of [8, 16, 32]) {
      const [spec, buffers] = written(values, bits, ascending)
      assert.deepEqual(Array.from(columnsOf([spec], buffers).x), values.map((value) => value + 0))
    }
  })
})

test('law: bits encode the same rows', () => {
  examples(20, (whole) => {
    const count = 1000 + whole(3000)
    const rows = Uint32Array.from(list(count, (row) => row).filter((row) => row < 1000 || whole(3)))
    const { as, buffer } = rowsMessage(rows, count)
    const bits = [...new Uint8Array(buffer)].map((byte) => byte.toString(2).padStart(8, '0')).join('')
    assert.equal(as, 'bits')
    assert.deepEqual([...bits].flatMap((bit, row) => (bit === '1' ? [row] : [])), [...rows])
    assert.equal(bits.length, Math.ceil(count / 8) * 8)
  })
})
