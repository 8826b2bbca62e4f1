// The explorer: shows a session in an element, with toolbar, panels and keyboard shortcuts.

import { element } from './dom.mjs'
import { commandOf } from './keys.mjs'
import { agentPanel, detailsPanel, helpPanel, legend, statusBar, toolbar } from './panels.mjs'
import { followTheme } from '../canvas/theme.mjs'
import { RULER_HEIGHT, Viewport } from './viewport.mjs'

/**
 * @typedef {import('../model/model.mjs').Model} Model
 * @typedef {import('../model/session.mjs').Session} Session
 */

const INPUT_FIELDS = 'input, select, textarea, [contenteditable]'
const MIN_HEIGHT = 260 // CSS pixels, for a timeline of few lanes
const ACTIVATED_BY_SPACE = 'button, summary'

/**
 * Shows a session in an element, and returns a function that removes it.
 * @param {HTMLElement} host
 * @param {Session} session
 * @param {{height: number | null}} options height in CSS pixels; null uses the available height
 */
export function showExplorer(host, session, { height }) {
  const root = element('div', { class: 'tokenvis', role: 'region', 'aria-label': 'tokenvis explorer', tabindex: '-1' })
  host.append(root)
  let controller = new AbortController()
  const open = () => {
    const hadFocus = root.contains(document.activeElement)
    controller.abort()
    controller = new AbortController()
    root.replaceChildren()
    showTrace(root, session, height, controller.signal)
    if (hadFocus) root.focus({ preventScroll: true })
  }
  session.addEventListener('open', open)
  open()
  return () => {
    session.removeEventListener('open', open)
    controller.abort()
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
  const viewport = new Viewport(model, root, status.showNotes, signal)
  const agents = agentPanel(model)
  const details = detailsPanel(model)
  const colorLegend = legend(model)
  const help = helpPanel(() => setHelp(false))
  const tools = toolbar(session, () => setAgents(agents.node.hidden), () => setHelp(help.hidden))
  const main = element('div', { class: 'tv-main' },
    element('div', { class: 'tv-stage' }, viewport.node, viewport.tooltip, viewport.message), details.node, agents.node, help)
  root.append(tools.node, colorLegend.node, main, status.node)
  const fitHeight = () => { // the height of the content, with space for the details
    const needed = Math.max(RULER_HEIGHT + (model.scene?.layoutRows.height ?? 0) + 2, MIN_HEIGHT)
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
    else viewport.canvas.focus({ preventScroll: true })
  }
  const actions = {
    scroll: (/** @type {number} */ lines) => viewport.scroll(lines),
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
  handleKeys(root, model, actions, () => viewport.canvas.focus({ preventScroll: true }), signal)

  /** @type {Record<string, {update: () => void}[]>} */
  const panels = {
    trace: [tools, agents, colorLegend, details, status],
    window: [tools],
    by: [tools],
    hue: [tools, colorLegend],
    agents: [tools, agents],
    selection: [details],
    details: [details],
    figures: [status],
    matches: [tools],
    facts: [tools, details],
    renewal: [tools, agents, colorLegend, details, status],
    live: [status],
    labels: [],
    scene: [],
    problem: [tools],
  }
  model.addEventListener('change', (event) => {
    const hadFocus = root.contains(document.activeElement)
    for (const part of panels[/** @type {CustomEvent} */ (event).detail]) part.update()
    if (hadFocus && !root.contains(document.activeElement)) viewport.canvas.focus({ preventScroll: true }) // it was removed
    fitHeight()
    if (/** @type {CustomEvent} */ (event).detail === 'renewal') viewport.showRenewedTrace()
    viewport.redraw()
  }, { signal })
  followTheme(root, () => viewport.updateTheme(), signal)
  for (const part of panels.trace) part.update()
  fitHeight()
  viewport.redraw()
}

/**
 * Handles keys inside the explorer, and keeps them from the notebook around it, which has shortcuts on the same keys. Keys with
 * Ctrl, Alt or ⌘ are left to the notebook and the browser.
 * @param {HTMLElement} root
 * @param {Model} model
 * @param {Parameters<typeof commandOf>[2]} actions
 * @param {() => void} focusCanvas
 * @param {AbortSignal} signal
 */
function handleKeys(root, model, actions, focusCanvas, signal) {
  const hasNoModifier = (/** @type {KeyboardEvent} */ event) => !event.ctrlKey && !event.metaKey && !event.altKey
  window.addEventListener('keydown', (event) => {
    // Jupyter handles a key before this element does, unless the focused element has this attribute
    const target = /** @type {HTMLElement} */ (event.target)
    if (root.contains(target)) target.toggleAttribute('data-lm-suppress-shortcuts', hasNoModifier(event))
  }, { capture: true, signal })
  root.addEventListener('keydown', (event) => {
    if (!hasNoModifier(event)) return
    event.stopPropagation()
    const target = /** @type {HTMLElement} */ (event.target)
    const inField = target.matches(INPUT_FIELDS) && !target.matches('[type=checkbox]')
    if (inField && event.key === 'Escape') return target.closest('.tv-agents') ? actions.close() : focusCanvas()
    if (inField || (target.matches(ACTIVATED_BY_SPACE) && event.key === ' ')) return undefined
    const command = commandOf(event.key, model, actions)
    if (!command) return undefined
    event.preventDefault()
    return command()
  }, { signal })
  for (const name of ['keyup', 'keypress']) root.addEventListener(name, (event) => event.stopPropagation(), { signal })
}
