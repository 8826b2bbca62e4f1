// The explorer: a session shown in an element, with its tools, panels and keys.

import { element } from './dom.mjs'
import { commandOf } from './keys.mjs'
import { followTheme } from '../canvas/look.mjs'
import { agentPanel, detailsPanel, helpPanel, legend, statusBar, toolbar } from './panels.mjs'
import { RULER, Stage } from './stage.mjs'

/**
 * @typedef {import('../model/model.mjs').Model} Model
 * @typedef {import('../model/session.mjs').Session} Session
 */

const FIELDS = 'input, select, textarea, [contenteditable]'
const LEAST = 260 // CSS pixels of height, for a timeline of few lanes
const PRESSED_BY_KEYS = 'button, summary'

/**
 * Show a session in an element; what is returned takes it away again.
 * @param {HTMLElement} host
 * @param {Session} session
 * @param {{height: number | null}} options height in CSS pixels; null is all there is
 */
export function show(host, session, { height }) {
  const root = element('div', { class: 'tokenvis', role: 'region', 'aria-label': 'tokenvis explorer', tabindex: '-1' })
  host.append(root)
  let ended = new AbortController()
  const open = () => {
    const had = root.contains(document.activeElement)
    ended.abort()
    ended = new AbortController()
    root.replaceChildren()
    showTrace(root, session, height, ended.signal)
    if (had) root.focus({ preventScroll: true })
  }
  session.addEventListener('open', open)
  open()
  return () => {
    session.removeEventListener('open', open)
    ended.abort()
    root.remove()
  }
}

/**
 * @param {HTMLElement} root
 * @param {Session} session
 * @param {number | null} height
 * @param {AbortSignal} signal
 */
function showTrace(root, session, height, signal) {
  const { model } = session
  const status = statusBar(session)
  const stage = new Stage(model, root, status.note, signal)
  const agents = agentPanel(model)
  const details = detailsPanel(model)
  const colors = legend(model)
  const help = helpPanel(() => setHelp(false))
  const tools = toolbar(session, () => setAgents(agents.node.hidden), () => setHelp(help.hidden))
  const main = element('div', { class: 'tv-main' },
    element('div', { class: 'tv-stage' }, stage.node, stage.tip, stage.message), details.node, agents.node, help)
  root.append(tools.node, colors.node, main, status.node)
  const fitHeight = () => { // as high as the content needs, with room for the details
    const needed = Math.max(RULER + (model.scene?.rows.height ?? 0) + 2, LEAST)
    if (height) main.style.height = `${Math.min(needed, height)}px`
  }

  const setAgents = (/** @type {boolean} */ open) => {
    agents.node.hidden = !open
    tools.agents.setAttribute('aria-expanded', String(open))
    agents.update()
    if (open) agents.node.querySelector('input')?.focus()
    else tools.agents.focus()
  }
  const setHelp = (/** @type {boolean} */ open) => {
    help.hidden = !open
    if (open) help.focus()
    else stage.canvas.focus({ preventScroll: true })
  }
  const shell = {
    scroll: (/** @type {number} */ lines) => stage.scroll(lines),
    search: () => tools.query.focus(),
    help: () => setHelp(help.hidden),
    close: () => {
      if (!help.hidden) setHelp(false)
      else if (!agents.node.hidden) setAgents(false)
      else if (model.selected.length) model.select(new Uint32Array())
      else if (model.query) {
        tools.query.value = ''
        model.search('')
      }
    },
  }
  keepKeys(root, model, shell, () => stage.canvas.focus({ preventScroll: true }), signal)

  /** @type {Record<string, {update: () => void}[]>} */
  const parts = {
    trace: [tools, agents, colors, details, status],
    window: [tools],
    by: [tools],
    hue: [tools, colors],
    agents: [tools, agents],
    selection: [details],
    details: [details],
    figures: [status],
    matches: [tools],
    facts: [tools, details],
    renewal: [tools, agents, colors, details, status],
    live: [status],
    labels: [],
    scene: [],
    problem: [tools],
  }
  model.addEventListener('change', (event) => {
    const had = root.contains(document.activeElement)
    for (const part of parts[/** @type {CustomEvent} */ (event).detail]) part.update()
    if (had && !root.contains(document.activeElement)) stage.canvas.focus({ preventScroll: true }) // what had it has gone
    fitHeight()
    if (/** @type {CustomEvent} */ (event).detail === 'renewal') stage.renewed()
    stage.redraw()
  }, { signal })
  followTheme(root, () => stage.dress(), signal)
  for (const part of parts.trace) part.update()
  fitHeight()
  stage.redraw()
}

/**
 * Keys of the explorer stay in it: the notebook around it has commands of its own on the same keys. Those with Ctrl or ⌘ are the
 * notebook's and the browser's.
 * @param {HTMLElement} root
 * @param {Model} model
 * @param {Parameters<typeof commandOf>[2]} shell
 * @param {() => void} toCanvas
 * @param {AbortSignal} signal
 */
function keepKeys(root, model, shell, toCanvas, signal) {
  const isOurs = (/** @type {KeyboardEvent} */ event) => !event.ctrlKey && !event.metaKey && !event.altKey
  window.addEventListener('keydown', (event) => {
    // Jupyter acts on a key before it arrives here, unless the element that has the focus says this of itself
    const target = /** @type {HTMLElement} */ (event.target)
    if (root.contains(target)) target.toggleAttribute('data-lm-suppress-shortcuts', isOurs(event))
  }, { capture: true, signal })
  root.addEventListener('keydown', (event) => {
    if (!isOurs(event)) return
    event.stopPropagation()
    const target = /** @type {HTMLElement} */ (event.target)
    const inField = target.matches(FIELDS) && !target.matches('[type=checkbox]')
    if (inField && event.key === 'Escape') return target.closest('.tv-agents') ? shell.close() : toCanvas()
    if (inField || (target.matches(PRESSED_BY_KEYS) && event.key === ' ')) return undefined
    const command = commandOf(event.key, model, shell)
    if (!command) return undefined
    event.preventDefault()
    return command()
  }, { signal })
  for (const name of ['keyup', 'keypress']) root.addEventListener(name, (event) => event.stopPropagation(), { signal })
}
