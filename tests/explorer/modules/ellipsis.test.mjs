import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fitNames, fitText } from '../../../tokenvis/explorer/modules/canvas/ellipsis.mjs'
import { examples, list } from './traces.mjs'

const canvas = { measureText: (text) => ({ width: Array.from(text).length * 10 }) } // each letter is 10 pixels wide

test('a text wider than its maximum is truncated', () => {
  const cuts = [60, 59, 30, 20, 19, 0].map((room) => fitText(canvas, room, 'museum'))
  assert.deepEqual(cuts, ['museum', 'muse…', 'mu…', 'm…', '', ''])
  assert.equal(fitText(canvas, 0, ''), '')
})

test('the first of several texts that fits, else the last one truncated', () => {
  const texts = ['reading room', 'reading', 'read']
  const fitted = [120, 119, 69, 39, 10].map((room) => fitText(canvas, room, ...texts))
  assert.deepEqual(fitted, ['reading room', 'reading', 'read', 're…', ''])
  assert.equal(fitText(canvas, 100), '')
})

test('truncation keeps characters whole', () => {
  assert.equal(fitText(canvas, 25, '😀😀😀'), '😀…')
})

test('law: as many characters as fit', () => {
  examples(200, (whole) => {
    const text = list(whole(12), () => 'aé😀'.match(/./gu)[whole(3)]).join('')
    const [letters, room] = [Array.from(text), whole(140)]
    const cuts = list(letters.length, (n) => (n ? `${letters.slice(0, n).join('')}…` : ''))
    const largest = [...cuts, text].findLast((cut) => canvas.measureText(cut).width <= room)
    assert.equal(fitText(canvas, room, text), largest)
  })
})

test('names are measured letter by letter, and once for many frames', () => {
  const names = ['reading room 11 of the library', 'reading room 12 of the library']
  let measured = 0
  const counting = { font: '12px sans', measureText: (text) => (measured++, canvas.measureText(text)) }
  const texts = fitNames(counting, 180, names)
  assert.deepEqual(texts, ['readin…11 of the …', 'readin…12 of the …'])
  const before = measured
  assert.equal(fitNames(counting, 180, names), texts)
  assert.equal(measured, before)
  assert.deepEqual(fitNames(counting, 400, names), names)
})
