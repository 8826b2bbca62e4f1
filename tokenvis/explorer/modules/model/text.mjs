// Texts: durations, counts, and names from traces, which may contain any character and are never markup.

const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]/gu
const MAX_NAME_CHARS = 200

/** A text on one line: invisible characters and direction marks become replacement characters. @param {string} text */
export const printable = (text) => text.replace(/\s/g, ' ').replace(INVISIBLE, '\ufffd')

/**
 * A name as one line of text: invisible characters and direction marks become replacement characters.
 * @param {string} text
 */
export function oneLine(text) {
  const cut = text.length > MAX_NAME_CHARS ? `${text.slice(0, MAX_NAME_CHARS)}…` : text
  return printable(cut.replace(/\s+/g, ' ').trim()) || '(empty)'
}

/** @param {number} value */
export const formatCount = (value) => Math.round(value).toLocaleString('en')

/** @param {number} count @param {string} noun */
export const plural = (count, noun) => `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`

const TIME_UNITS = /** @type {[number, string][]} */ ([[86_400e6, 'd'], [3_600e6, 'h'], [60e6, 'm'], [1e6, 's'], [1e3, 'ms'], [1, 'µs']])

/**
 * A duration: "1.25 s", "2 m 5 s", "3 h 20 m"; of steps, "3 steps".
 * @param {number} us
 * @param {boolean} [hasStepTimes] whether times are step numbers
 * @returns {string}
 */
export function formatDuration(us, hasStepTimes = false) {
  if (hasStepTimes) return plural(us, 'step')
  if (us < 0) return `−${formatDuration(-us)}`
  const unit = TIME_UNITS.findIndex(([size]) => us >= size)
  if (unit < 0) return us ? `${us.toPrecision(2)} µs` : '0 s'
  const [size, name] = TIME_UNITS[unit]
  const larger = TIME_UNITS[unit - 1]?.[0] ?? Infinity
  if (unit > 2) {
    const value = +(us / size).toPrecision(3)
    return value * size < larger ? `${value} ${name}` : formatDuration(larger)
  }
  const [smaller, part] = TIME_UNITS[unit + 1]
  const whole = Math.round(us / smaller)
  if (whole * smaller >= larger) return formatDuration(larger)
  const ratio = size / smaller
  const rest = whole % ratio
  return `${formatCount(Math.floor(whole / ratio))} ${name}${rest ? ` ${rest} ${part}` : ''}`
}

/**
 * A time on the axis, with the precision that ticks of this step need: "1.5 s", "250 µs", "12:04.250",
 * "2 d 03:00:00".
 * @param {number} us since the origin
 * @param {number} step
 * @param {boolean} [hasStepTimes]
 * @returns {string}
 */
export function formatTime(us, step, hasStepTimes = false) {
  if (us < 0) return `−${formatTime(-us, step, hasStepTimes)}`
  if (hasStepTimes || us === 0) return us === 0 && !hasStepTimes ? '0' : formatCount(us)
  if (us < 1e3 || (us < 1e6 && step < 1e3)) return `${formatCount(us)} µs`
  if (us < 1e6) return `${us / 1e3} ms`
  const digits = step >= 1e6 ? 0 : Math.min(6, Math.ceil(6 - Math.log10(step) - 1e-9))
  us = Math.round(us / 10 ** (6 - digits)) * 10 ** (6 - digits) // else toFixed could round a fraction up to a whole second
  if (us < 60e6) return `${(us / 1e6).toFixed(digits)} s`
  const seconds = Math.floor(us / 1e6)
  const [d, h, m, s] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60]
  const pad2 = (/** @type {number} */ part) => String(part).padStart(2, '0')
  const fraction = digits ? ((us % 1e6) / 1e6).toFixed(digits).slice(1) : ''
  const clock = d || h ? `${d ? pad2(h) : h}:${pad2(m)}:${pad2(s)}` : `${m}:${pad2(s)}`
  return `${d ? `${d} d ` : ''}${clock}${fraction}`
}

/**
 * A date and time in UTC: "2026-06-21 09:30:00.000250 UTC".
 * @param {number} us since 1970
 */
export function formatTimestamp(us) {
  const date = new Date(Math.floor(us / 1e3))
  const micros = String(((us % 1e3) + 1e3) % 1e3).padStart(3, '0')
  return Number.isNaN(date.getTime()) ? formatCount(us) : `${date.toISOString().replace('T', ' ').replace('Z', micros)} UTC`
}
