// Figures of some spans of a trace: their number, their times (wall, active, busy), and the tokens they used.
//
// Wall time is from the first start to the last end; active time is when at least one of them runs; busy time is the sum of the
// times in which each is its agent's innermost span. Tokens that a span repeats from its descendants are counted once.

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
  for (let index = 0; index < rows.length; index++) {
    const row = rows[index]
    active += Math.max(end[row] - Math.max(start[row], last), 0)
    last = Math.max(last, end[row])
    busy += facts?.self ? facts.self[row] : end[row] - start[row]
    input += facts?.input ? facts.input[row] : 0
    output += facts?.output ? facts.output[row] : 0
  }
  const wall = rows.length ? last - start[rows[0]] : 0
  return { n: rows.length, wall, active, busy, input: facts?.input ? input : null, output: facts?.output ? output : null }
}
