// Names: shortened to a width so that they stay different, as in the pictures (plot/artists/names.py).

import { printable } from './text.mjs'

/** @typedef {(text: string) => number} WidthOf the width of a letter, in any unit */

const MAX_END_LETTERS = 200 // of a long name, those that are looked at: the first, and the last
const MAX_ROUNDS = 3 // of names that look the same
const MAX_WORD_LETTERS = 8 // of a word, those before the first different one

/**
 * The names as texts on one line, cut to a width; different names are different texts.
 *
 * A name is cut in the middle. If names look the same then, they are cut where they differ; if they still do, they get
 * numbers. The texts do not depend on the order of the names. If there is space for a few letters only, a text that has to
 * differ from others may be wider.
 * @param {string[]} names
 * @param {number} room
 * @param {WidthOf} widthOf
 */
export function shortenedNames(names, room, widthOf) {
  const sorted = Array.from(new Set(names)).sort()
  const texts = new Map(sorted.map((name) => [name, cutMiddle(Array.from(endsOf(name)), room, widthOf)]))
  for (let round = 0; round < MAX_ROUNDS; round++) {
    for (const group of sameLooks(texts)) {
      const first = firstDifference(group[0], group[group.length - 1])
      for (const name of group) texts.set(name, cutAround(name, first, room, widthOf))
    }
  }
  const taken = new Set(Array.from(texts.values(), lookOf))
  for (const group of sameLooks(texts)) {
    let number = 0
    for (const name of group) {
      let text
      do text = numbered(name, ++number, room, widthOf)
      while (taken.has(lookOf(text)))
      texts.set(name, text)
      taken.add(lookOf(text))
    }
  }
  return names.map((name) => texts.get(name) ?? '')
}

/** A name on one line, without the middle of a very long one. @param {string} name */
function endsOf(name) {
  if (!name.trim()) return '(empty)'
  if (name.length <= 2 * MAX_END_LETTERS) return printable(name)
  return `${printable(name.slice(0, MAX_END_LETTERS))}…${printable(name.slice(-MAX_END_LETTERS))}`
}

/** What can be seen of a text: the number of blanks cannot. @param {string} text */
const lookOf = (text) => text.replace(/\s+/g, ' ').trim()

/** The groups of names that have the same text. @param {Map<string, string>} texts */
function sameLooks(texts) {
  const groups = /** @type {Map<string, string[]>} */ (new Map())
  for (const [name, text] of texts) {
    const group = groups.get(lookOf(text))
    if (group) group.push(name)
    else groups.set(lookOf(text), [name])
  }
  return Array.from(groups.values()).filter((group) => group.length > 1)
}

/** How much two texts have in common at the start, without half of a letter. @param {string} one @param {string} other */
function firstDifference(one, other) {
  let place = 0
  while (place < one.length && one[place] === other[place]) place++
  return place && /[\udc00-\udfff]/.test(one[place] ?? other[place]) ? place - 1 : place
}

/** @param {string[]} letters @param {WidthOf} widthOf */
const widthOfAll = (letters, widthOf) => letters.reduce((sum, letter) => sum + widthOf(letter), 0)

/** How many letters fit. @param {string[]} letters @param {number} room @param {WidthOf} widthOf */
function nFitting(letters, room, widthOf) {
  let [n, left] = [0, room]
  while (n < letters.length && (left -= widthOf(letters[n])) >= 0) n++
  return n
}

/** The first and the last letters that fit. @param {string[]} letters @param {number} room @param {WidthOf} widthOf */
function cutMiddle(letters, room, widthOf) {
  if (widthOfAll(letters, widthOf) <= room) return letters.join('')
  let [head, tail] = [2, 0]
  let left = room - widthOf('…') - widthOfAll(letters.slice(0, 2), widthOf)
  while (head + tail < letters.length - 1) {
    const isTail = Math.floor((head + tail + 1) / 3) > tail
    left -= widthOf(letters[isTail ? letters.length - 1 - tail : head])
    if (left < 0) break
    if (isTail) tail++
    else head++
  }
  return `${letters.slice(0, head).join('')}…${letters.slice(letters.length - tail).join('')}`
}

/**
 * A name cut so that the letter at the position `first` is shown.
 * @param {string} name
 * @param {number} first
 * @param {number} room
 * @param {WidthOf} widthOf
 */
function cutAround(name, first, room, widthOf) {
  const whole = endsOf(name)
  if (widthOfAll(Array.from(whole), widthOf) <= room) return whole
  const ellipsis = widthOf('…')
  const word = Array.from(name.slice(Math.max(first - MAX_WORD_LETTERS, 0), first).match(/[\p{L}\p{N}]*$/u)?.[0] ?? '')
  const after = Array.from(printable(name.slice(first, first + MAX_END_LETTERS)))
  const nShown = nFitting([...word, ...after], (room * 2) / 3 - 2 * ellipsis, widthOf) - word.length
  const shown = nShown > 0 ? [...word, ...after.slice(0, nShown)] : after.slice(0, 1)
  const isWhole = first + after.slice(0, Math.max(nShown, 1)).join('').length >= name.length
  const rest = shown.join('') + (isWhole ? '' : '…')
  const start = first - (nShown > 0 ? word.join('').length : 0)
  const before = Array.from(printable(name.slice(0, Math.min(start, MAX_END_LETTERS))))
  const nBefore = nFitting(before, room - widthOfAll(Array.from(rest), widthOf) - ellipsis, widthOf)
  return before.slice(0, nBefore).join('') + (nBefore < before.length || before.join('').length < start ? '…' : '') + rest
}

/**
 * A name with a number.
 * @param {string} name
 * @param {number} number
 * @param {number} room
 * @param {WidthOf} widthOf
 */
function numbered(name, number, room, widthOf) {
  const [letters, suffix] = [Array.from(endsOf(name)), ` #${number}`]
  const left = room - widthOfAll(Array.from(suffix), widthOf)
  if (widthOfAll(letters, widthOf) <= left) return letters.join('') + suffix
  return `${letters.slice(0, nFitting(letters, left - widthOf('…'), widthOf)).join('')}…${suffix}`
}
