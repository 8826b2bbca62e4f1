import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatCount, formatDuration, formatTime, formatTimestamp, oneLine, plural } from '../../../tokenvis/explorer/modules/model/text.mjs'

test('a name is one line, without direction marks and invisible characters', () => {
  assert.equal(oneLine('  a\n\tb\u2028c  '), 'a b c')
  assert.equal(oneLine('a\u202eb\u0000c\u200bd'), 'a\ufffdb\ufffdc\ufffdd')
  assert.equal(oneLine('👩\u200d💻'), '👩\u200d💻') // what joins letters is needed
  assert.equal(oneLine(`${'x'.repeat(199)}😀`), `${'x'.repeat(199)}\ufffd…`) // not half of a letter
  assert.equal(oneLine('x'.repeat(10_000)), `${'x'.repeat(200)}…`)
  assert.equal(oneLine('<b>$\\frac{'), '<b>$\\frac{')
  assert.deepEqual(['', ' \n'].map(oneLine), ['(empty)', '(empty)'])
})

test('counts', () => {
  assert.equal(formatCount(1234567.4), '1,234,567')
  assert.deepEqual([0, 1, 2000].map((count) => plural(count, 'span')), ['0 spans', '1 span', '2,000 spans'])
})

test('durations in customary units', () => {
  const expected = {
    0: '0 s', 0.25: '0.25 µs', 1: '1 µs', 999: '999 µs', 1500: '1.5 ms', 1.25e6: '1.25 s', 59e6: '59 s', 60e6: '1 m',
    125e6: '2 m 5 s', 3600e6: '1 h', 12000e6: '3 h 20 m', 86400e6: '1 d', 90000e6: '1 d 1 h',
    86400e9: '1,000 d', '-1500': '−1.5 ms',
  }
  for (const [us, text] of Object.entries(expected)) assert.equal(formatDuration(Number(us)), text)
  assert.deepEqual([1, 3000].map((steps) => formatDuration(steps, true)), ['1 step', '3,000 steps'])
})

test('times on the axis, with the precision of the step', () => {
  const expected = [
    [0, 1e6, '0'], [250, 50, '250 µs'], [250_000, 50, '250,000 µs'], [250_000, 50_000, '250 ms'], [1.5e6, 5e5, '1.5 s'],
    [2e6, 1e6, '2 s'], [1_000_250, 50, '1.00025 s'], [724.25e6, 50_000, '12:04.25'], [724.25e6, 1e3, '12:04.250'],
    [724e6, 1e6, '12:04'], [3600e6, 60e6, '1:00:00'], [2 * 86400e6 + 3 * 3600e6, 3600e6, '2 d 03:00:00'],
    [-1.5e6, 5e5, '−1.5 s'],
  ]
  for (const [us, step, text] of expected) assert.equal(formatTime(us, step), text)
  assert.deepEqual([0, 1500, -3].map((us) => formatTime(us, 1, true)), ['0', '1,500', '−3'])
})

test('a time between two steps never shows another second', () => {
  assert.equal(formatTime(119_999_400, 1e3), '1:59.999')
  assert.ok(['1:59.999', '2:00.000'].includes(formatTime(119_999_900, 1e3)), formatTime(119_999_900, 1e3))
})

test('dates and times, in UTC', () => {
  assert.equal(formatTimestamp(Date.UTC(2026, 5, 21, 9, 30) * 1e3 + 250), '2026-06-21 09:30:00.000250 UTC')
  assert.equal(formatTimestamp(-1), '1969-12-31 23:59:59.999999 UTC')
  assert.equal(formatTimestamp(9e18), '9,000,000,000,000,000,000')
})
