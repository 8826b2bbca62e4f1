import assert from 'node:assert/strict'
import { test } from 'node:test'
import { channels, inkOn } from '../../../tokenvis/explorer/modules/canvas/look.mjs'

test('channels of a colour', () => {
  assert.deepEqual(channels('#0a80ff'), [10, 128, 255])
})

test('dark ink on light colours, light ink on dark ones', () => {
  assert.deepEqual(['#ffffff', '#ffee00', '#000000', '#1f3a93'].map(inkOn), ['#14161b', '#14161b', '#ffffff', '#ffffff'])
})
