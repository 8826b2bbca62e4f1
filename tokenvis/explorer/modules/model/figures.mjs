// Figures of some spans of a trace: how many, how long (wall, active, busy), and the tokens they used.
//
// Wall is from the first start to the last end; active is the time in which one of them runs; busy adds up the time in which each
// was its agent's innermost span. Tokens count where no span below says the same.

/**
 * @typedef {import('./trace.mjs').Trace} Trace
 * @typedef {import('./trace.mjs').Facts} Facts
 * @typedef {{n: number, wall: number, active: number, busy: number, input: number | null, output: number | null}} Figures
 */

/**
 * @param {Trace} trace
 * @param {Facts | null} facts
 * @param {ArrayLike<number>} rows ascending
 * @returns {Figures}
 */
export function figuresOf({ start, end }, facts, rows) {
  let [active, busy, input, output] = [0, 0, 0, 0]
  let last = -Infinity
  for (let number = 0; number < rows.length; number++) {
    const row = rows[number]
    active += Math.max(end[row] - Math.max(start[row], last), 0)
    last = Math.max(last, end[row])
    busy += facts?.self ? facts.self[row] : end[row] - start[row]
    input += facts?.input ? facts.input[row] : 0
    output += facts?.output ? facts.output[row] : 0
  }
  const wall = rows.length ? last - start[rows[0]] : 0
  return { n: rows.length, wall, active, busy, input: facts?.input ? input : null, output: facts?.output ? output : null }
}
