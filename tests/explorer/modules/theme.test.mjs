import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rgbOf, textColorOn } from '../../../tokenvis/explorer/modules/canvas/theme.mjs'

test('RGB channels of a colour', () => {
  assert.deepEqual(rgbOf('#0a80ff'), [10, 128, 255])
})

test('dark text on light colours, light text on dark ones', () => {
  assert.deepEqual(['#ffffff', '#ffee00', '#000000', '#1f3a93'].map(textColorOn), ['#14161b', '#14161b', '#ffffff', '#ffffff'])
})
