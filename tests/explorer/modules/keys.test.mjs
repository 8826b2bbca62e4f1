import assert from 'node:assert/strict'
import { test } from 'node:test'
import { COMMANDS, HELP, commandOf } from '../../../tokenvis/explorer/modules/ui/keys.mjs'

/** The command of a key as text: the called method and its arguments. */
function pressed(key) {
  const calls = []
  const recorder = new Proxy({}, { get: (_, name) => (...values) => calls.push([name, ...values].join(' ')) })
  commandOf(key, recorder, recorder)?.()
  return calls.join()
}

test('each key calls its command', () => {
  const expected = {
    w: 'zoomBy 1.4', '+': 'zoomBy 1.5', '=': 'zoomBy 1.5', a: 'panBy -0.15', ArrowLeft: 'panBy -0.15', d: 'panBy 0.15',
    ArrowUp: 'scroll -3', PageDown: 'scroll 20', Home: 'panBy -1000000000', End: 'panBy 1000000000', 0: 'fit',
    f: 'fitSelection', ',': 'step -1', '.': 'step 1', n: 'goToMatch 1', p: 'goToMatch -1', g: 'toggleGaps', m: 'toggleMoves',
    '/': 'search', '?': 'help', Escape: 'close',
  }
  for (const [key, command] of Object.entries(expected)) assert.equal(pressed(key), command, key)
})

test('zooming out reverses zooming in', () => {
  const [w, s, plus, minus] = ['w', 's', '+', '-'].map((key) => Number(pressed(key).split(' ')[1]))
  assert.ok(Math.abs(w * s - 1) < 1e-12 && Math.abs(plus * minus - 1) < 1e-12)
})

test('capital letters do the same; other keys do nothing', () => {
  assert.deepEqual(['W', 'G', 'F'].map(pressed), ['zoomBy 1.4', 'toggleGaps', 'fitSelection'])
  const others = ['x', 'Enter', ' ', 'Shift', 'constructor', 'toString', '__proto__']
  for (const key of others) assert.equal(commandOf(key, {}, {}), undefined, key)
})

const NAMES = { '←': 'ArrowLeft', '→': 'ArrowRight', '↑': 'ArrowUp', '↓': 'ArrowDown', '−': '-', Esc: 'Escape' }
const HELP_NAMES = { '=': '+', PageUp: 'Page', PageDown: 'Page' } // '=' is '+' without Shift

test('the help names every key that does something', () => {
  const mentioned = HELP.flatMap(([keys]) => [...keys.split(' '), ...keys.split(/, | |;/)])
  const shown = Object.fromEntries(Object.entries(NAMES).map(([letter, name]) => [name, letter]))
  const letters = Object.keys(COMMANDS).map((key) => HELP_NAMES[key] ?? shown[key] ?? (key.length === 1 ? key.toUpperCase() : key))
  assert.deepEqual(letters.filter((letter) => !mentioned.includes(letter)), [])
})

test('every single key in the help has a command', () => {
  const single = HELP.filter(([keys]) => !/[⌘]|drag|click/.test(keys))
  const keys = single.flatMap(([keys]) => keys.split(/, | |;/)).filter((key) => key.length === 1 || key in NAMES)
  assert.ok(keys.length > 15, keys.join(' '))
  for (const key of keys) assert.ok(commandOf(NAMES[key] ?? key, {}, { search() {}, help() {}, close() {} }), key)
})
