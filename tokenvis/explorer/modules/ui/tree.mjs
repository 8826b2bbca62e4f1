// The tree of a span's data: what is inside a value is made when it is opened, and a long text is cut until it is asked for.
//
// The text is parsed in a way that loses no digit: a number that a double does not hold is shown as it was written.

import { element } from './dom.mjs'
import { plural } from '../model/text.mjs'

const LONG = 2_000 // characters of a text that are shown at first
const MANY = 200 // members that are shown at first

/**
 * @param {string} text JSON
 * @returns {HTMLElement}
 */
export function treeOf(text) {
  try {
    const value = JSON.parse(text, /** @type {any} */ (exact))
    return members(value, true)
  } catch {
    return element('pre', {}, text) // no JSON: as it is
  }
}

/** @param {string} _ @param {unknown} value @param {{source?: string}} [context] */
function exact(_, value, context) {
  const rounded = typeof value === 'number' && !Number.isSafeInteger(value) && context?.source
  return rounded && String(value) !== context.source ? new Digits(String(context.source)) : value
}

class Digits {
  /** @param {string} text */
  constructor(text) {
    this.text = text
  }
}

/** @param {any} value @param {boolean} [outermost] @returns {HTMLElement} */
function members(value, outermost = false) {
  const entries = Object.entries(value)
  const list = element('ul', outermost ? { role: 'tree', 'aria-label': 'data' } : { role: 'group' })
  const add = (/** @type {number} */ from) => {
    list.append(...entries.slice(from, from + MANY).map(([key, member]) => item(key, member, Array.isArray(value))))
    if (entries.length > from + MANY) more(list, `${plural(entries.length - from - MANY, 'more member')}`, () => add(from + MANY))
  }
  add(0)
  return list
}

/** @param {string} key @param {any} value @param {boolean} isList */
function item(key, value, isList) {
  const name = element('span', { class: 'tv-key' }, isList ? key : key.length > LONG ? `${key.slice(0, LONG)}…` : key)
  if (value === null || typeof value !== 'object' || value instanceof Digits) {
    return element('li', { role: 'treeitem' }, name, ': ', leaf(value))
  }
  const count = Object.keys(value).length
  const inside = element('summary', {}, name, element('span', { class: 'tv-count' }, Array.isArray(value) ? ` [${count}]` : ` {${count}}`))
  const details = element('details', { ontoggle: () => details.children.length > 1 || details.append(members(value)) }, inside)
  return element('li', { role: 'treeitem' }, details)
}

/** @param {any} value */
function leaf(value) {
  if (typeof value !== 'string') return element('span', { class: 'tv-value' }, value instanceof Digits ? value.text : String(value))
  const shown = element('span', { class: 'tv-text', dir: 'auto' }, value.slice(0, LONG))
  if (value.length > LONG) more(shown, `… all ${plural(value.length, 'character')}`, () => shown.replaceChildren(value))
  return shown
}

/** @param {HTMLElement} place @param {string} text @param {() => void} press */
function more(place, text, press) {
  const link = element('button', { type: 'button', class: 'tv-more', onclick: () => { link.remove(); press() } }, text)
  place.append(link)
}
