// Panels beside the canvas: tools above, the agents, a span's details, figures below, help.

import { button, element } from './dom.mjs'
import { HELP } from './keys.mjs'
import { STATUS } from '../model/trace.mjs'
import { calendar, duration, grouped, moment, oneLine, plural } from '../model/text.mjs'
import { treeOf } from './tree.mjs'

/** @typedef {import('../model/model.mjs').Model} Model */

const SHORT_NAMES = new Map([['agent_id', 'agent'], ['location_id', 'location']]) // no object: a key may be named as its members
const MOST_AGENTS = 300 // check boxes at once; the others are found by name
const MOST_CHIPS = 16

/**
 * A choice of keys.
 * @param {Model} model
 * @param {string} name
 * @param {() => string} current
 * @param {(key: string) => void} choose
 */
function keyChoice(model, name, current, choose) {
  const select = element('select', { 'aria-label': name, title: name, onchange: () => choose(select.value) })
  let shown = ''
  const update = () => {
    const keys = Array.from(new Set([...model.keys, current()]))
    select.value = current()
    if (JSON.stringify(keys) === shown) return // a list that is open stays so
    shown = JSON.stringify(keys)
    select.replaceChildren(...keys.map((key) => element('option', { value: key }, oneLine(SHORT_NAMES.get(key) ?? key))))
    select.value = current()
  }
  return { node: element('label', {}, `${name} `, select), update }
}

/**
 * @param {import('../model/session.mjs').Session} session
 * @param {() => void} toggleAgents
 * @param {() => void} toggleHelp
 */
export function toolbar(session, toggleAgents, toggleHelp) {
  const { model } = session
  const traces = element('select', { 'aria-label': 'trace', title: 'trace', onchange: () => session.choose(traces.value) })
  const list = () => model.traces.map(({ id, n }) => element('option', { value: id }, `${oneLine(id)} (${grouped(n)})`))
  let listed = /** @type {import('../model/model.mjs').Opening['traces'] | null} */ (null)
  const percent = element('output', { class: 'tv-percent', 'aria-label': 'zoom' })
  const by = keyChoice(model, 'by', () => model.by, (key) => model.setBy(key))
  const hue = keyChoice(model, 'hue', () => model.hue, (key) => model.setHue(key))
  const agents = element('button', { type: 'button', class: 'tv-agents-button', 'aria-expanded': 'false', onclick: toggleAgents })
  const found = element('output', { class: 'tv-found', 'aria-live': 'polite' })
  const query = element('input', { type: 'search', placeholder: 'search', 'aria-label': 'search agents, locations and labels' })
  let waiting = 0
  query.addEventListener('input', () => {
    clearTimeout(waiting)
    waiting = window.setTimeout(() => model.search(query.value), 150)
  })
  query.addEventListener('keydown', async (event) => {
    if (event.key !== 'Enter') return
    clearTimeout(waiting)
    if (model.query !== query.value) await model.search(query.value)
    model.toMatch(event.shiftKey ? -1 : 1)
  })
  const node = element('div', { class: 'tv-bar', role: 'toolbar', 'aria-label': 'explorer' },
    element('span', { class: 'tv-group' },
      button('−', 'zoom out (-)', () => model.zoomBy(1 / 1.5)), percent, button('+', 'zoom in (+)', () => model.zoomBy(1.5)),
      button('fit', 'show all of the trace (0)', () => model.fit())),
    element('span', { class: 'tv-group' }, by.node, hue.node), agents,
    element('span', { class: 'tv-group tv-search' }, query, found,
      button('↑', 'previous match (Shift+Enter)', () => model.toMatch(-1)), button('↓', 'next match (Enter)', () => model.toMatch(1))),
    button('?', 'keys and mouse (?)', toggleHelp))
  const update = () => {
    if (listed !== model.traces) {
      listed = model.traces
      traces.replaceChildren(...list())
      if (listed.length < 2) traces.remove()
      else if (!node.contains(traces)) node.prepend(traces)
    }
    traces.value = model.id ?? ''
    percent.textContent = `${grouped((model.scene ? model.zoom() : 1) * 100)}%`
    by.update()
    hue.update()
    const [n, all] = [model.shown.reduce((sum, flag) => sum + flag, 0), model.shown.length]
    agents.textContent = n === all ? `${plural(all, 'agent')} ▾` : `${n} of ${plural(all, 'agent')} ▾`
    const place = model.match < 0 ? '' : `${model.match + 1}/`
    found.textContent = model.query.trim() ? `${place}${grouped(model.matches.length)}` : ''
  }
  return { node, update, query, agents }
}

/** A check box for each agent, with the number of its spans. @param {Model} model */
export function agentPanel(model) {
  const list = element('div', { class: 'tv-list' })
  const filter = element('input', { type: 'search', placeholder: 'agent', 'aria-label': 'find an agent', oninput: () => fill() })
  const all = (/** @type {number} */ flag) => model.setShown(model.shown.map(() => flag))
  const node = element('div', { class: 'tv-agents', role: 'group', 'aria-label': 'agents', hidden: true },
    element('div', { class: 'tv-group' },
      filter, button('all', 'show all agents', () => all(1)), button('none', 'hide all agents', () => all(0))), list)
  const counts = () => {
    const codes = model.trace?.agent.codes ?? []
    const counted = new Uint32Array(model.shown.length)
    for (let row = 0; row < codes.length; row++) counted[codes[row]]++
    return counted
  }
  const box = (/** @type {number} */ code, /** @type {number} */ n) => {
    const { names, colors } = /** @type {import('../model/trace.mjs').KeyColumn} */ (model.trace?.agent)
    const check = element('input', { type: 'checkbox', value: names[code], onchange: () => {
      model.setShown(model.shown.map((flag, other) => (other === code ? Number(check.checked) : flag)))
    } })
    check.checked = Boolean(model.shown[code])
    const count = element('span', { class: 'tv-count' }, grouped(n))
    return element('label', {}, check, swatch(colors[code]), element('bdi', {}, oneLine(names[code])), count)
  }
  const fill = () => {
    if (node.hidden || !model.trace) return
    const words = filter.value.trim().toLowerCase()
    const codes = Array.from(model.shown.keys()).filter((code) => model.trace?.agent.names[code].toLowerCase().includes(words))
    const counted = counts()
    list.replaceChildren(...codes.slice(0, MOST_AGENTS).map((code) => box(code, counted[code])))
    if (codes.length > MOST_AGENTS) list.append(`${plural(codes.length - MOST_AGENTS, 'agent')} more: find them by name`)
  }
  const update = () => {
    const boxes = () => Array.from(list.querySelectorAll('input'))
    const focused = boxes().find((box) => box === document.activeElement)
    const { scrollTop } = list
    fill()
    list.scrollTop = scrollTop
    if (focused) boxes().find(({ value }) => value === focused.value)?.focus({ preventScroll: true })
  }
  return { node, update }
}

/** @param {string} color */
function swatch(color) {
  const made = element('span', { class: 'tv-swatch', 'aria-hidden': 'true' })
  made.style.background = color
  return made
}

/** What the colours stand for. @param {Model} model */
export function legend(model) {
  const node = element('div', { class: 'tv-legend', role: 'list', 'aria-label': 'colours' })
  const update = () => {
    const entries = model.scene?.hue.legend ?? []
    node.replaceChildren(...entries.slice(0, MOST_CHIPS).map(([color, name]) => {
      return element('span', { role: 'listitem' }, swatch(color), element('bdi', {}, oneLine(name)))
    }))
  }
  return { node, update }
}

/** The details of the span that is selected. @param {Model} model */
export function detailsPanel(model) {
  const node = element('aside', { class: 'tv-details', 'aria-label': 'details of the span', hidden: true })
  const [title, facts, data] = [element('strong'), element('div'), element('div')]
  const head = element('div', { class: 'tv-group' }, title, button('×', 'close (Escape)', () => model.select(new Uint32Array())))
  let shown = /** @type {import('../model/model.mjs').Details | null} */ (null)
  const update = () => {
    const { trace, details, focus } = model
    node.hidden = !trace || focus < 0
    if (!trace || focus < 0) {
      shown = null
      return node.replaceChildren()
    }
    title.textContent = oneLine(details?.label || trace.agent.names[trace.agent.codes[focus]])
    facts.replaceChildren(factsOfSpan(model, focus))
    const isSame = shown && details && shown.id === details.id && shown.data === details.data // what was opened in it stays so
    if (!isSame) data.replaceChildren(...dataOf(details))
    shown = details
    return node.childElementCount ? undefined : node.replaceChildren(head, facts, data)
  }
  return { node, update }
}

/** @param {import('../model/model.mjs').Details | null} details */
function dataOf(details) {
  const parts = /** @type {HTMLElement[]} */ ([])
  if (details?.data) {
    const { data } = details
    parts.push(element('div', { class: 'tv-group' }, element('span', {}, 'data'), copyButton(data)), treeOf(data))
  } else if (details && !details.omitted) parts.push(element('p', { class: 'tv-quiet' }, 'no data'))
  if (details?.omitted) parts.push(element('p', { class: 'tv-quiet' }, 'Texts are left out of this page.'))
  return parts
}

/** @param {Model} model @param {number} row */
function factsOfSpan({ trace, details, facts: known, steps }, row) {
  const { start, end, agent, location, clock } = /** @type {import('../model/trace.mjs').Trace} */ (trace)
  const table = [
    ['agent', agent.names[agent.codes[row]]],
    ['location', location.names[location.codes[row]]],
    ['start', moment(start[row], steps ? 1 : 1e3, steps)],
    ...(clock === null ? [] : [['', calendar(clock + start[row])]]),
    ['duration', duration(end[row] - start[row], steps)],
    ...(known?.status?.[row] ? [['status', STATUS[known.status[row]]]] : []),
    ...(details ? [['id', details.id]] : []),
    ...(details?.parent ? [['parent', details.parent]] : []),
  ]
  return element('dl', {}, ...table.flatMap(([name, value]) => [element('dt', {}, name), element('dd', { dir: 'auto' }, value)]))
}

/** @param {string} text */
function copyButton(text) {
  const press = async () => {
    copy.textContent = (await copied(text)) ? 'copied' : 'not copied'
    setTimeout(() => { copy.textContent = 'copy' }, 1500)
  }
  const copy = button('copy', 'copy the data', press)
  return copy
}

/** @param {string} text */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch { // no right to: as it was done before there was such a right
    const area = element('textarea', { 'aria-hidden': 'true' })
    area.value = text
    document.body.append(area)
    area.select()
    const done = document.execCommand('copy')
    area.remove()
    return done
  }
}

/** Figures of the selection, else of all that is shown. @param {import('../model/session.mjs').Session} session */
export function statusBar(session) {
  const { model } = session
  const figures = element('span', { class: 'tv-figures', role: 'status' })
  const notes = element('span', { class: 'tv-notes' })
  const live = element('span', { class: 'tv-live', title: 'follows the trace as it is recorded', hidden: true }, 'live')
  const node = element('div', { class: 'tv-status' }, figures, notes, live)
  let trace = model.trace
  const update = () => {
    figures.textContent = model.figures ? sentence(model) : ''
    figures.setAttribute('aria-live', session.isLive ? 'off' : 'polite') // else it is read out every second
    live.hidden = !session.isLive
    if (trace && trace !== model.trace) {
      live.classList.add('tv-pulse')
      void live.offsetWidth // so that what the dot has now is where its pulse begins
      live.classList.remove('tv-pulse')
    }
    ({ trace } = model)
  }
  /** @param {string[]} texts */
  const note = (texts) => {
    const text = [...texts, ...(model.problem ? [oneLine(model.problem)] : [])].join(' · ')
    if (notes.textContent !== text) notes.textContent = text
  }
  return { node, update, note }
}

/** @param {Model} model */
function sentence({ figures, selected, steps, trace }) {
  const { n, wall, active, busy, input, output } = /** @type {import('../model/figures.mjs').Figures} */ (figures)
  const times = [['wall', wall], ['active', active], ['busy', busy]].map(([name, us]) => `${name} ${duration(Number(us), steps)}`)
  const tokens = [[input, 'in'], [output, 'out']].filter(([count]) => count).map(([count, way]) => `${grouped(Number(count))} ${way}`)
  const count = `${plural(n, 'span')}${selected.length ? ' selected' : ''}`
  const lost = trace?.lost ? [`${plural(trace.lost, 'span')} lost while recording`] : []
  const parts = [count, ...times, ...(tokens.length ? [`tokens ${tokens.join(', ')}`] : []), ...lost]
  return parts.join(' · ')
}

/** @param {() => void} close */
export function helpPanel(close) {
  const rows = HELP.map(([keys, what]) => element('tr', {}, element('th', { scope: 'row' }, keys), element('td', {}, what)))
  return element('div', { class: 'tv-help', role: 'dialog', 'aria-label': 'keys and mouse', tabindex: '-1', hidden: true },
    element('div', { class: 'tv-group' }, element('strong', {}, 'Keys and mouse'), button('×', 'close (Escape)', close)),
    element('table', {}, ...rows))
}
