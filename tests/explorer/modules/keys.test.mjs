import assert from 'node:assert/strict'
import { test } from 'node:test'
import { COMMANDS, HELP, commandOf } from '../../../tokenvis/explorer/modules/ui/keys.mjs'

/** What a key does, as text: the method that is called, and with what. */
function pressed(key) {
  const said = []
  const recorder = new Proxy({}, { get: (_, name) => (...values) => said.push([name, ...values].join(' ')) })
  commandOf(key, recorder, recorder)?.()
  return said.join()
}

test('what keys do', () => {
  const told = {
    w: 'zoomBy 1.4', '+': 'zoomBy 1.5', '=': 'zoomBy 1.5', a: 'panBy -0.15', ArrowLeft: 'panBy -0.15', d: 'panBy 0.15',
    ArrowUp: 'scroll -3', PageDown: 'scroll 20', Home: 'panBy -1000000000', End: 'panBy 1000000000', 0: 'fit',
    f: 'fitSelection', ',': 'step -1', '.': 'step 1', n: 'toMatch 1', p: 'toMatch -1', g: 'toggleGaps', m: 'toggleMoves',
    '/': 'search', '?': 'help', Escape: 'close',
  }
  for (const [key, command] of Object.entries(told)) assert.equal(pressed(key), command, key)
})

test('out is the other way of in', () => {
  const [w, s, plus, minus] = ['w', 's', '+', '-'].map((key) => Number(pressed(key).split(' ')[1]))
  assert.ok(Math.abs(w * s - 1) < 1e-12 && Math.abs(plus * minus - 1) < 1e-12)
})

test('capital letters do the same, and other keys nothing', () => {
  assert.deepEqual(['W', 'G', 'F'].map(pressed), ['zoomBy 1.4', 'toggleGaps', 'fitSelection'])
  const others = ['x', 'Enter', ' ', 'Shift', 'constructor', 'toString', '__proto__']
  for (const key of others) assert.equal(commandOf(key, {}, {}), undefined, key)
})

const NAMES = { '←': 'ArrowLeft', '→': 'ArrowRight', '↑': 'ArrowUp', '↓': 'ArrowDown', '−': '-', Esc: 'Escape' }
const SAID_OTHERWISE = { '=': '+', PageUp: 'Page', PageDown: 'Page' } // '=' is '+' without Shift

test('the help names every key that does something', () => {
  const said = HELP.flatMap(([keys]) => [...keys.split(' '), ...keys.split(/, | |;/)])
  const shown = Object.fromEntries(Object.entries(NAMES).map(([letter, name]) => [name, letter]))
  const letters = Object.keys(COMMANDS).map((key) => SAID_OTHERWISE[key] ?? shown[key] ?? (key.length === 1 ? key.toUpperCase() : key))
  assert.deepEqual(letters.filter((letter) => !said.includes(letter)), [])
})

test('what the help says of single keys is so', () => {
  const single = HELP.filter(([said]) => !/[⌘]|drag|click/.test(said))
  const keys = single.flatMap(([said]) => said.split(/, | |;/)).filter((key) => key.length === 1 || key in NAMES)
  assert.ok(keys.length > 15, keys.join(' '))
  for (const key of keys) assert.ok(commandOf(NAMES[key] ?? key, {}, { search() {}, help() {}, close() {} }), key)
})
