// Decodes columns from Python: integers in 1, 2 or 4 bytes, for the smallest total.
//
// The maximum of a type marks a wide value, which is stored separately as a double. Ascending columns (starts, rows) are sent as
// differences.

/**
 * @typedef {{name: string, type: 'u8' | 'u16' | 'u32', ascending: boolean, n_wide: number}} ColumnSpec
 * @typedef {Uint8Array | Uint16Array | Uint32Array | Float64Array} Numbers
 */

const ARRAY_TYPES = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array }

/**
 * The columns of a message, by name.
 * @param {ColumnSpec[]} specs
 * @param {(DataView | ArrayBuffer)[]} buffers one per column, and two more (rows, values) for a column with wide values
 * @returns {Record<string, Numbers>}
 */
export function columnsOf(specs, buffers) {
  let next = 0
  const nextBuffer = () => aligned(buffers[next++])
  return Object.fromEntries(specs.map((spec) => {
    const narrow = new ARRAY_TYPES[spec.type](nextBuffer())
    const wide = spec.n_wide ? { rows: new Uint32Array(nextBuffer()), values: new Float64Array(nextBuffer()) } : null
    return [spec.name, spec.ascending || wide ? widened(narrow, wide, spec.ascending) : narrow]
  }))
}

/**
 * The bytes of a buffer at an offset that typed arrays accept.
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
  wide?.rows.forEach((row, index) => { values[row] = wide.values[index] })
  if (ascending) {
    for (let row = 1; row < values.length; row++) values[row] += values[row - 1]
  }
  return values
}

/**
 * Encodes rows of a trace for Python: as row numbers, or as one bit per row of the trace if that is shorter.
 * @param {Uint32Array} rows ascending
 * @param {number} count number of rows of the trace
 */
export function rowsMessage(rows, count) {
  if (rows.length * 32 <= count || rows.length < 1000) return { as: 'rows', buffer: rows.slice().buffer }
  const bits = new Uint8Array(Math.ceil(count / 8))
  for (const row of rows) bits[row >> 3] |= 128 >> (row & 7)
  return { as: 'bits', buffer: bits.buffer }
}
