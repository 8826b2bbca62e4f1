// Columns as they cross from Python: whole numbers in 1, 2 or 4 bytes, whichever takes the least.
//
// The highest number of a width says that the value is a wide one, which stands apart, as a double. Numbers that ascend (starts,
// rows) cross as the steps between them.

/**
 * @typedef {{name: string, type: 'u8' | 'u16' | 'u32', ascending: boolean, n_wide: number}} ColumnSpec
 * @typedef {Uint8Array | Uint16Array | Uint32Array | Float64Array} Numbers
 */

const ARRAYS = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array }

/**
 * The columns of a message, by name.
 * @param {ColumnSpec[]} specs
 * @param {(DataView | ArrayBuffer)[]} buffers one for each column, and two more (rows, values) for one with wide values
 * @returns {Record<string, Numbers>}
 */
export function columnsOf(specs, buffers) {
  let next = 0
  const take = () => aligned(buffers[next++])
  return Object.fromEntries(specs.map((spec) => {
    const narrow = new ARRAYS[spec.type](take())
    const wide = spec.n_wide ? { rows: new Uint32Array(take()), values: new Float64Array(take()) } : null
    return [spec.name, spec.ascending || wide ? widened(narrow, wide, spec.ascending) : narrow]
  }))
}

/**
 * The bytes of a buffer from an address where an array of numbers may begin.
 * @param {DataView | ArrayBuffer} buffer
 * @returns {ArrayBuffer}
 */
function aligned(buffer) {
  if (buffer instanceof ArrayBuffer) return buffer
  return /** @type {ArrayBuffer} */ (buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength))
}

/**
 * @param {Numbers} narrow
 * @param {{rows: Uint32Array, values: Float64Array} | null} wide
 * @param {boolean} ascending
 */
function widened(narrow, wide, ascending) {
  const values = new Float64Array(narrow)
  wide?.rows.forEach((row, number) => { values[row] = wide.values[number] })
  if (ascending) {
    for (let row = 1; row < values.length; row++) values[row] += values[row - 1]
  }
  return values
}

/**
 * Rows of a trace as they cross to Python: themselves, or a bit for each row of the trace where that is shorter.
 * @param {Uint32Array} rows ascending
 * @param {number} count how many rows the trace has
 */
export function rowsMessage(rows, count) {
  if (rows.length * 32 <= count || rows.length < 1000) return { as: 'rows', buffer: rows.slice().buffer }
  const bits = new Uint8Array(Math.ceil(count / 8))
  for (const row of rows) bits[row >> 3] |= 128 >> (row & 7)
  return { as: 'bits', buffer: bits.buffer }
}
