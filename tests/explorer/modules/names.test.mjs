import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shortenedNames } from '../../../tokenvis/explorer/modules/model/names.mjs'
import { examples, list } from './traces.mjs'

const letterWidth = () => 1
const cut = (names, room) => shortenedNames(names, room, letterWidth)

test('a name alone is cut in the middle', () => {
  assert.deepEqual([19, 12, 8, 1].map((room) => cut(['model:claude-opus-4'], room)[0]), ['model:claude-opus-4', 'model:cl…s-4', 'model…-4', 'mo…'])
  assert.deepEqual(cut(['desk', 'lab', 'desk'], 9), ['desk', 'lab', 'desk'])
  assert.deepEqual(cut([], 9), [])
})

test('names that would look the same are cut where they differ', () => {
  const documents = [11, 12].map((n) => `search_documents_v${n}_of_all_the_teams`)
  assert.deepEqual(cut(documents, 16), ['search…v11_of_a…', 'search…v12_of_a…'])
  const rooms = ['Klaus', 'Maria'].map((name) => `Dorm for Oak Hill: ${name}'s room`)
  assert.deepEqual(cut(rooms, 14), ["Dorm …Klaus's…", "Dorm …Maria's…"])
  assert.deepEqual(cut(['a\nb', 'a b', 'a  b'], 9), ['a b #1', 'a b #3', 'a  b #2'])
  assert.deepEqual(cut(['', ' '], 10), ['(empty) #1', '(empty) #2'])
})

test('long names that differ anywhere stay different, and letters whole', () => {
  for (const place of [0, 5000, 9990]) {
    const names = list(300, (n) => `${'x'.repeat(place)}${String(n).padStart(4, '0')}${'y'.repeat(10_000 - place)}`)
    assert.equal(new Set(cut(names, 20)).size, 300)
  }
  const faces = ['😀', '😁'].map((face) => `${'😀'.repeat(30)}${face}${'😀'.repeat(30)}`)
  assert.deepEqual(cut(faces, 9).map((text) => [text.isWellFormed?.() ?? true, Array.from(text).length <= 9]), [[true, true], [true, true]])
})

test('law: different names have different texts, which fit, in any order', () => {
  examples(300, (whole) => {
    const names = Array.from(new Set(list(whole(12), () => list(whole(40), () => 'ab 1\n'[whole(5)]).join(''))))
    const room = 12 + whole(30)
    const texts = cut(names, room)
    assert.equal(new Set(texts.map((text) => text.trim().replace(/ +/g, ' '))).size, names.length)
    assert.ok(texts.every((text) => Array.from(text).length <= room))
    assert.deepEqual(cut([...names].reverse(), room).reverse(), texts)
  })
})
