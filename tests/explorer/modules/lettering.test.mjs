import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fitted } from '../../../tokenvis/explorer/modules/canvas/lettering.mjs'
import { examples, list } from './traces.mjs'

const canvas = { measureText: (text) => ({ width: Array.from(text).length * 10 }) } // each letter is 10 pixels wide

test('a text is cut where it is wider than its room', () => {
  const cuts = [60, 59, 30, 20, 19, 0].map((room) => fitted(canvas, room, 'museum'))
  assert.deepEqual(cuts, ['museum', 'muse…', 'mu…', 'm…', '', ''])
  assert.equal(fitted(canvas, 0, ''), '')
})

test('of several texts the first that fits, else the last one, cut', () => {
  const texts = ['reading room', 'reading', 'read']
  const told = [120, 119, 69, 39, 10].map((room) => fitted(canvas, room, ...texts))
  assert.deepEqual(told, ['reading room', 'reading', 'read', 're…', ''])
  assert.equal(fitted(canvas, 100), '')
})

test('no letter is cut in half', () => {
  assert.equal(fitted(canvas, 25, '😀😀😀'), '😀…')
})

test('law: as many letters as there is room for', () => {
  examples(200, (whole) => {
    const text = list(whole(12), () => 'aé😀'.match(/./gu)[whole(3)]).join('')
    const [letters, room] = [Array.from(text), whole(140)]
    const cuts = list(letters.length, (n) => (n ? `${letters.slice(0, n).join('')}…` : ''))
    const longest = [...cuts, text].findLast((cut) => canvas.measureText(cut).width <= room)
    assert.equal(fitted(canvas, room, text), longest)
  })
})
