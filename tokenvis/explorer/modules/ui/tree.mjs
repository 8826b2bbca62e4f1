// The tree of a span's data: children of a node are created when it is opened, and long texts are truncated until expanded.
//
// Parsing keeps all digits: a number that a double cannot represent is shown as it was written.

import { element } from './dom.mjs'
import { plural } from '../model/text.mjs'

const MAX_TEXT_CHARS = 2_000 // shown at first
const MAX_MEMBERS = 200 // shown at first

/**
 * @param {string} text JSON
 * @returns {HTMLElement}
 */
export function treeOf(text) {
  try {
    const value = JSON.parse(text, /** @type {any} */ (reviveExactNumber))
    return memberList(value, true)
  } catch {
    return element('pre', {}, text) // not JSON: shown as text
  }
}

/** @param {string} _ @param {unknown} value @param {{source?: string}} [context] */
function reviveExactNumber(_, value, context) {
  const rounded = typeof value === 'number' && !Number.isSafeInteger(value) && context?.source
  return rounded && String(value) !== context.source ? new ExactNumber(String(context.source)) : value
}

class ExactNumber {
  /** @param {string} text */
  constructor(text) {
    this.text = text
  }
}

/** @param {any} value @param {boolean} [outermost] @returns {HTMLElement} */
function memberList(value, outermost = false) {
  const entries = Object.entries(value)
  const list = element('ul', outermost ? { role: 'tree', 'aria-label': 'data' } : { role: 'group' })
  const add = (/** @type {number} */ from) => {
    list.append(...entries.slice(from, from + MAX_MEMBERS).map(([key, member]) => treeItem(key, member, Array.isArray(value))))
    if (entries.length > from + MAX_MEMBERS) addMoreButton(list,
      `${plural(entries.length - from - MAX_MEMBERS, 'more member')}`, () => add(from + MAX_MEMBERS))
  }
  add(0)
  return list
}

/** @param {string} key @param {any} value @param {boolean} isList */
function treeItem(key, value, isList) {
  const name = element('span', { class: 'tv-key' },
    isList ? key : key.length > MAX_TEXT_CHARS ? `${key.slice(0, MAX_TEXT_CHARS)}…` : key)
  if (value === null || typeof value !== 'object' || value instanceof ExactNumber) {
    return element('li', { role: 'treeitem' }, name, ': ', leafNode(value))
  }
  const count = Object.keys(value).length
  const inside = element('summary', {}, name, element('span', { class: 'tv-count' }, Array.isArray(value) ? ` [${count}]` : ` {${count}}`))
  const details = element('details', { ontoggle: () => details.children.length > 1 || details.append(memberList(value)) }, inside)
  return element('li', { role: 'treeitem' }, details)
}

/** @param {any} value */
function leafNode(value) {
  if (typeof value !== 'string') return element('span', { class: 'tv-value' }, value instanceof ExactNumber ? value.text : String(value))
  const shown = element('span', { class: 'tv-text', dir: 'auto' }, value.slice(0, MAX_TEXT_CHARS))
  if (value.length > MAX_TEXT_CHARS) addMoreButton(
    shown, `… all ${plural(value.length, 'character')}`, () => shown.replaceChildren(value))
  return shown
}

/** @param {HTMLElement} parent @param {string} text @param {() => void} onClick */
function addMoreButton(parent, text, onClick) {
  const link = element('button', { type: 'button', class: 'tv-more', onclick: () => { link.remove(); onClick() } }, text)
  parent.append(link)
}
