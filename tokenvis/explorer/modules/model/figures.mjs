// Figures of some spans of a trace: their number, their times (wall, active, busy, waits), and the tokens they used.
//
// Wall time is from the first start to the last end; active time is when at least one of them works; busy time is the sum of all
// their work; "waits" is when one waits and none works. Pieces of work and waiting depend on all spans of the trace. Tokens that a
// span repeats from its descendants are counted once.

/**
 * @typedef {import('./trace.mjs').Trace} Trace
 * @typedef {import('./trace.mjs').Facts} Facts
 * @typedef {import('./trace.mjs').Pieces} Pieces
 * @typedef {{active: number, busy: number, waits: number}} Times
 * @typedef {{n: number, wall: number, times: Times | null, input: number | null, output: number | null}} Figures
 */

/**
 * @param {Trace} trace
 * @param {Facts | null} facts null: not known yet, so that only number and wall time are
 * @param {ArrayLike<number>} rows ascending
 * @returns {Figures}
 */
export function figuresOf(trace, facts, rows) {
  const { start, end } = trace
  let [last, input, output] = [rows.length ? start[rows[0]] : 0, 0, 0]
  for (let index = 0; index < rows.length; index++) {
    const row = rows[index]
    last = Math.max(last, end[row])
    input += facts?.input ? facts.input[row] : 0
    output += facts?.output ? facts.output[row] : 0
  }
  const wall = rows.length ? last - start[rows[0]] : 0
  const times = facts && (facts.pieces ? timesOfPieces(trace, facts.pieces, rows) : timesOfSpans(trace, rows))
  return { n: rows.length, wall, times, input: facts?.input ? input : null, output: facts?.output ? output : null }
}

/** Spans that work for all of their time. @param {Trace} trace @param {ArrayLike<number>} rows @returns {Times} */
function timesOfSpans({ start, end }, rows) {
  const sweep = new Sweep()
  for (let index = 0; index < rows.length; index++) sweep.addWork(start[rows[index]], end[rows[index]])
  return sweep.times()
}

/**
 * Spans of which some have pieces: both are ordered by start, and are merged.
 * @param {Trace} trace
 * @param {Pieces} pieces
 * @param {ArrayLike<number>} rows
 * @returns {Times}
 */
function timesOfPieces({ start, end }, pieces, rows) {
  const sweep = new Sweep()
  const isIncluded = new Uint8Array(start.length)
  for (let index = 0; index < rows.length; index++) isIncluded[rows[index]] = 1
  let piece = 0
  const addPiecesBefore = (/** @type {number} */ time) => {
    for (; piece < pieces.row.length; piece++) {
      const from = start[0] + pieces.start[piece]
      if (from >= time) return
      if (!isIncluded[pieces.row[piece]]) continue
      if (pieces.waits?.[piece]) sweep.addWait(from, from + pieces.duration[piece])
      else sweep.addWork(from, from + pieces.duration[piece])
    }
  }
  let cut = 0
  for (let index = 0; index < rows.length; index++) {
    const row = rows[index]
    while (pieces.cut[cut] < row) cut++
    if (pieces.cut[cut] === row) continue
    addPiecesBefore(start[row])
    sweep.addWork(start[row], end[row])
  }
  addPiecesBefore(Infinity)
  return sweep.times()
}

/** Adds up work and waits, which are added in order of their starts. */
class Sweep {
  active = 0
  busy = 0
  covered = 0 // time with work or a wait
  workEnd = -Infinity // the last end of work so far
  coveredEnd = -Infinity

  /** @param {number} from @param {number} to */
  addWork(from, to) {
    this.busy += to - from
    this.active += Math.max(to - Math.max(from, this.workEnd), 0)
    this.workEnd = Math.max(this.workEnd, to)
    this.addWait(from, to)
  }

  /** @param {number} from @param {number} to */
  addWait(from, to) {
    this.covered += Math.max(to - Math.max(from, this.coveredEnd), 0)
    this.coveredEnd = Math.max(this.coveredEnd, to)
  }

  /** @returns {Times} */
  times() {
    return { active: this.active, busy: this.busy, waits: this.covered - this.active }
  }
}
