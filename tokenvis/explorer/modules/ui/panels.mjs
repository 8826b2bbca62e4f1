// Panels around the canvas: toolbar, agents, legend, details of a span, status bar, help.

import { fitNames } from '../canvas/ellipsis.mjs'
import { button, element } from './dom.mjs'
import { HELP } from './keys.mjs'
import { shortenedNames } from '../model/names.mjs'
import { formatCount, formatDuration, formatTime, formatTimestamp, oneLine, plural } from '../model/text.mjs'
import { STATUS_BY_CODE } from '../model/trace.mjs'
import { treeOf } from './tree.mjs'

/** @typedef {import('../model/model.mjs').Model} Model */

const SHORT_NAMES = new Map([['agent_id', 'agent'], ['location_id', 'location']]) // a key may be named like an object member
const MAX_AGENT_BOXES = 300 // the filter finds the others
const MAX_LEGEND_ENTRIES = 16
const NAME_WIDTH = 170 // pixels, in the list of agents and in the legend
const MAX_TRACE_LETTERS = 60

/**
 * A select element for a key.
 * @param {Model} model
 * @param {string} name
 * @param {() => string} current
 * @param {(key: string) => void} choose
 */
function keySelect(model, name, current, choose) {
  const select = element('select', { 'aria-label': name, title: name, onchange: () => choose(select.value) })
  let shownKeys = ''
  const update = () => {
    const keys = Array.from(new Set([...model.keys, current()]))
    select.value = current()
    if (JSON.stringify(keys) === shownKeys) return // an open list stays open
    shownKeys = JSON.stringify(keys)
    select.replaceChildren(...keys.map((key) => element('option', { value: key }, oneLine(SHORT_NAMES.get(key) ?? key))))
    select.value = current()
  }
  return { node: element('label', {}, `${name} `, select), update }
}

/**
 * The name of a trace, and its id, if it has no name or shares it with another trace.
 * @param {import('../model/model.mjs').Opening['traces'][0]} trace
 * @param {import('../model/model.mjs').Opening['traces']} traces
 */
function traceTitle({ id, name }, traces) {
  if (name === undefined) return id
  return traces.some((other) => other.name === name && other.id !== id) ? `${name} · ${id}` : name
}

/**
 * @param {import('../model/session.mjs').Session} session
 * @param {() => void} toggleAgents
 * @param {() => void} toggleHelp
 */
export function toolbar(session, toggleAgents, toggleHelp) {
  const { model } = session
  const traces = element('select', { 'aria-label': 'trace', title: 'trace', onchange: () => session.choose(traces.value) })
  const options = () => {
    const texts = shortenedNames(model.traces.map((trace) => traceTitle(trace, model.traces)), MAX_TRACE_LETTERS, () => 1)
    return model.traces.map(({ id, n }, place) => element('option', { value: id }, `${texts[place]} (${formatCount(n)})`))
  }
  let listedTraces = /** @type {import('../model/model.mjs').Opening['traces'] | null} */ (null)
  const percent = element('output', { class: 'tv-percent', 'aria-label': 'zoom' })
  const by = keySelect(model, 'by', () => model.by, (key) => model.setBy(key))
  const hue = keySelect(model, 'hue', () => model.hue, (key) => model.setHue(key))
  const agents = element('button', { type: 'button', class: 'tv-agents-button', 'aria-expanded': 'false', onclick: toggleAgents })
  const matchCount = element('output', { class: 'tv-found', 'aria-live': 'polite' })
  const query = element('input', { type: 'search', placeholder: 'search', 'aria-label': 'search agents, locations and labels' })
  let searchTimer = 0
  query.addEventListener('input', () => {
    clearTimeout(searchTimer)
    searchTimer = window.setTimeout(() => model.search(query.value), 150)
  })
  query.addEventListener('keydown', async (event) => {
    if (event.key !== 'Enter') return
    clearTimeout(searchTimer)
    if (model.query !== query.value) await model.search(query.value)
    model.goToMatch(event.shiftKey ? -1 : 1)
  })
  const node = element('div', { class: 'tv-bar', role: 'toolbar', 'aria-label': 'explorer' },
    element('span', { class: 'tv-group' },
      button('−', 'zoom out (-)', () => model.zoomBy(1 / 1.5)), percent, button('+', 'zoom in (+)', () => model.zoomBy(1.5)),
      button('fit', 'show the whole trace (0)', () => model.fit())),
    element('span', { class: 'tv-group' }, by.node, hue.node), agents,
    element('span', { class: 'tv-group tv-search' }, query, matchCount,
      button('↑', 'previous match (Shift+Enter)', () => model.goToMatch(-1)),
      button('↓', 'next match (Enter)', () => model.goToMatch(1))),
    button('?', 'keys and mouse (?)', toggleHelp))
  const update = () => {
    if (listedTraces !== model.traces) {
      listedTraces = model.traces
      traces.replaceChildren(...options())
      if (listedTraces.length < 2) traces.remove()
      else if (!node.contains(traces)) node.prepend(traces)
    }
    traces.value = model.id ?? ''
    percent.textContent = `${formatCount((model.scene ? model.zoom() : 1) * 100)}%`
    by.update()
    hue.update()
    const [n, all] = [model.shown.reduce((sum, flag) => sum + flag, 0), model.shown.length]
    agents.textContent = n === all ? `${plural(all, 'agent')} ▾` : `${n} of ${plural(all, 'agent')} ▾`
    const matchNumber = model.matchIndex < 0 ? '' : `${model.matchIndex + 1}/`
    matchCount.textContent = model.query.trim() ? `${matchNumber}${formatCount(model.matches.length)}` : ''
  }
  return { node, update, query, agents }
}

/** A check box per agent, with the number of its spans. @param {Model} model */
export function agentPanel(model) {
  const list = element('div', { class: 'tv-list' })
  const filter = element('input', { type: 'search', placeholder: 'agent', 'aria-label': 'find an agent', oninput: () => renderList() })
  const setAll = (/** @type {number} */ flag) => model.setShown(model.shown.map(() => flag))
  const node = element('div', { class: 'tv-agents', role: 'group', 'aria-label': 'agents', hidden: true },
    element('div', { class: 'tv-group' },
      filter, button('all', 'show all agents', () => setAll(1)), button('none', 'hide all agents', () => setAll(0))), list)
  const countSpans = () => {
    const codes = model.trace?.agent.codes ?? []
    const counts = new Uint32Array(model.shown.length)
    for (let row = 0; row < codes.length; row++) counts[codes[row]]++
    return counts
  }
  const agentRow = (/** @type {number} */ code, /** @type {string} */ text, /** @type {number} */ n) => {
    const { names, colors } = /** @type {import('../model/trace.mjs').KeyColumn} */ (model.trace?.agent)
    const checkbox = element('input', { type: 'checkbox', value: names[code], onchange: () => {
      model.setShown(model.shown.map((flag, other) => (other === code ? Number(checkbox.checked) : flag)))
    } })
    checkbox.checked = Boolean(model.shown[code])
    const count = element('span', { class: 'tv-count' }, formatCount(n))
    return element('label', {}, checkbox, swatch(colors[code]), element('bdi', { title: oneLine(names[code]) }, text), count)
  }
  const renderList = () => {
    if (node.hidden || !model.trace) return
    const needle = filter.value.trim().toLowerCase()
    const codes = Array.from(model.shown.keys()).filter((code) => model.trace?.agent.names[code].toLowerCase().includes(needle))
    const spanCounts = countSpans()
    const texts = fitNames(textContextOf(list), NAME_WIDTH, model.trace.agent.names)
    list.replaceChildren(...codes.slice(0, MAX_AGENT_BOXES).map((code) => agentRow(code, texts[code], spanCounts[code])))
    if (codes.length > MAX_AGENT_BOXES) list.append(`${plural(codes.length - MAX_AGENT_BOXES, 'more agent')}: filter by name`)
  }
  const update = () => {
    const boxes = () => Array.from(list.querySelectorAll('input'))
    const focused = boxes().find((box) => box === document.activeElement)
    const { scrollTop } = list
    renderList()
    list.scrollTop = scrollTop
    if (focused) boxes().find(({ value }) => value === focused.value)?.focus({ preventScroll: true })
  }
  return { node, update }
}

/** A canvas context that measures texts in the font of an element. @param {HTMLElement} node */
function textContextOf(node) {
  const ctx = /** @type {CanvasRenderingContext2D} */ (document.createElement('canvas').getContext('2d'))
  ctx.font = getComputedStyle(node).font
  return ctx
}

/** @param {string} color */
function swatch(color) {
  const node = element('span', { class: 'tv-swatch', 'aria-hidden': 'true' })
  node.style.background = color
  return node
}

/** The legend of the colours. @param {Model} model */
export function legend(model) {
  const node = element('div', { class: 'tv-legend', role: 'list', 'aria-label': 'colours' })
  const update = () => {
    const entries = model.scene?.hueColumn.legend ?? []
    const texts = fitNames(textContextOf(node), NAME_WIDTH, entries.map(([, name]) => name))
    node.replaceChildren(...entries.slice(0, MAX_LEGEND_ENTRIES).map(([color, name], place) => {
      return element('span', { role: 'listitem' }, swatch(color), element('bdi', { title: oneLine(name) }, texts[place]))
    }))
  }
  return { node, update }
}

/** The details of the selected span. @param {Model} model */
export function detailsPanel(model) {
  const node = element('aside', { class: 'tv-details', 'aria-label': 'details of the span', hidden: true })
  const [title, fieldList, data] = [element('strong'), element('div'), element('div')]
  const head = element('div', { class: 'tv-group' }, title, button('×', 'close (Escape)', () => model.select(new Uint32Array())))
  let shownDetails = /** @type {import('../model/model.mjs').Details | null} */ (null)
  const update = () => {
    const { trace, details, focus } = model
    node.hidden = !trace || focus < 0
    if (!trace || focus < 0) {
      shownDetails = null
      return node.replaceChildren()
    }
    title.textContent = oneLine(details?.label || trace.agent.names[trace.agent.codes[focus]])
    fieldList.replaceChildren(spanFieldTable(model, focus))
    // The same data keeps its opened tree nodes open
    const isSame = shownDetails && details && shownDetails.id === details.id && shownDetails.data === details.data
    if (!isSame) data.replaceChildren(...dataNodes(details))
    shownDetails = details
    return node.childElementCount ? undefined : node.replaceChildren(head, fieldList, data)
  }
  return { node, update }
}

/** @param {import('../model/model.mjs').Details | null} details */
function dataNodes(details) {
  const parts = /** @type {HTMLElement[]} */ ([])
  if (details?.data) {
    const { data } = details
    parts.push(element('div', { class: 'tv-group' }, element('span', {}, 'data'), copyButton(data)), treeOf(data))
  } else if (details && !details.omitted) parts.push(element('p', { class: 'tv-quiet' }, 'no data'))
  if (details?.omitted) parts.push(element('p', { class: 'tv-quiet' }, 'This page does not include texts.'))
  return parts
}

/** @param {Model} model @param {number} row */
function spanFieldTable({ trace, details, facts: spanFields, hasStepTimes }, row) {
  const { start, end, agent, location, clock, origin } = /** @type {import('../model/trace.mjs').Trace} */ (trace)
  const table = [
    ['agent', agent.names[agent.codes[row]]],
    ['location', location.names[location.codes[row]]],
    ['start', hasStepTimes ? formatTime(origin + start[row], 1, true) : formatTime(start[row], 1e3)],
    ...(clock === null ? [] : [['', formatTimestamp(clock + start[row])]]),
    ['duration', formatDuration(end[row] - start[row], hasStepTimes)],
    ...(spanFields?.status?.[row] ? [['status', STATUS_BY_CODE[spanFields.status[row]]]] : []),
    ...(details ? [['id', details.id]] : []),
    ...(details?.parent ? [['parent', details.parent]] : []),
  ]
  return element('dl', {}, ...table.flatMap(([name, value]) => [element('dt', {}, name), element('dd', { dir: 'auto' }, value)]))
}

/** @param {string} text */
function copyButton(text) {
  const onClick = async () => {
    copy.textContent = (await copyToClipboard(text)) ? 'copied' : 'copy failed'
    setTimeout(() => { copy.textContent = 'copy' }, 1500)
  }
  const copy = button('copy', 'copy the data', onClick)
  return copy
}

/** @param {string} text */
async function copyToClipboard(text) {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch { // no clipboard permission: fall back to the older API
    const area = element('textarea', { 'aria-hidden': 'true' })
    area.value = text
    document.body.append(area)
    area.select()
    const isCopied = document.execCommand('copy')
    area.remove()
    return isCopied
  }
}

/** Figures of the selection, else of all shown spans. @param {import('../model/session.mjs').Session} session */
export function statusBar(session) {
  const { model } = session
  const figures = element('span', { class: 'tv-figures', role: 'status' })
  const notes = element('span', { class: 'tv-notes' })
  const live = element('span', { class: 'tv-live', title: 'following the trace while it is recorded', hidden: true }, 'live')
  const node = element('div', { class: 'tv-status' }, figures, notes, live)
  let trace = model.trace
  const update = () => {
    figures.textContent = model.figures ? figuresText(model) : ''
    figures.setAttribute('aria-live', session.isLive ? 'off' : 'polite') // else a screen reader reads it out every second
    live.hidden = !session.isLive
    if (trace && trace !== model.trace) {
      live.classList.add('tv-pulse')
      void live.offsetWidth // forces a reflow, so that the transition starts from the pulse state
      live.classList.remove('tv-pulse')
    }
    ({ trace } = model)
  }
  /** @param {string[]} texts */
  const showNotes = (texts) => {
    const text = [...texts, ...(model.problem ? [oneLine(model.problem)] : [])].join(' · ')
    if (notes.textContent !== text) notes.textContent = text
  }
  return { node, update, showNotes }
}

/** @param {Model} model */
function figuresText({ figures, selected, hasStepTimes, trace }) {
  const { n, wall, times, input, output } = /** @type {import('../model/figures.mjs').Figures} */ (figures)
  const { active, busy, waits } = times ?? {}
  const durations = Object.entries({ wall, active, busy, waits: waits || undefined })
    .flatMap(([name, us]) => (us === undefined ? [] : [`${name} ${formatDuration(us, hasStepTimes)}`]))
  const tokens = [[input, 'in'], [output, 'out']].filter(([count]) => count)
    .map(([count, direction]) => `${formatCount(Number(count))} ${direction}`)
  const count = `${plural(n, 'span')}${selected.length ? ' selected' : ''}`
  const lost = trace?.lost ? [`${plural(trace.lost, 'span')} lost while recording`] : []
  const parts = [count, ...durations, ...(tokens.length ? [`tokens ${tokens.join(', ')}`] : []), ...lost]
  return parts.join(' · ')
}

/** @param {() => void} close */
export function helpPanel(close) {
  const rows = HELP.map(([keys, action]) => element('tr', {}, element('th', { scope: 'row' }, keys), element('td', {}, action)))
  return element('div', { class: 'tv-help', role: 'dialog', 'aria-label': 'keys and mouse', tabindex: '-1', hidden: true },
    element('div', { class: 'tv-group' }, element('strong', {}, 'Keys and mouse'), button('×', 'close (Escape)', close)),
    element('table', {}, ...rows))
}
