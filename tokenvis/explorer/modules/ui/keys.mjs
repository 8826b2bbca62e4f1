// Keyboard shortcuts: active while the canvas, or any part of the explorer except an input field, has the focus.

/**
 * @typedef {import('../model/model.mjs').Model} Model
 * @typedef {{scroll: (lines: number) => void, search: () => void, help: () => void, close: () => void}} UiActions
 */

const PAN_SHARE = 0.15 // of the window
const ZOOM_FACTOR = 1.4

/** The rows of the help: keys and actions. @type {[string, string][]} */
export const HELP = [
  ['W S, + −', 'zoom in and out'],
  ['Ctrl or ⌘ + wheel', 'zoom at the pointer'],
  ['A D, ← →', 'pan in time'],
  ['drag, wheel', 'pan; Shift + wheel pans in time'],
  ['↑ ↓, Page ↑ ↓', 'scroll the lanes'],
  ['Home, End', 'go to the start, to the end'],
  ['0, F', 'show the whole trace; zoom to the selection'],
  ['click', 'select a span and show its details'],
  ['Ctrl or ⌘ + click', 'add a span to the selection'],
  ['Shift + drag', 'select all spans in a box'],
  ['drag on the ruler', 'zoom to a time range'],
  ['double-click', 'zoom to a span'],
  ['click on a name', 'fold or unfold its band'],
  [', .', 'previous, next span'],
  ['/', 'search; Enter, Shift + Enter: next, previous'],
  ['N P', 'next, previous match'],
  ['G, M', 'fold or unfold gaps; show or hide moves'],
  ['Esc', 'close a panel, clear the selection or the search'],
  ['?', 'show this help'],
]

/**
 * The action of each key, by key name.
 * @type {Record<string, (model: Model, actions: UiActions) => void>}
 */
export const COMMANDS = {
  w: (model) => model.zoomBy(ZOOM_FACTOR),
  s: (model) => model.zoomBy(1 / ZOOM_FACTOR),
  '+': (model) => model.zoomBy(1.5),
  '=': (model) => model.zoomBy(1.5),
  '-': (model) => model.zoomBy(1 / 1.5),
  a: (model) => model.panBy(-PAN_SHARE),
  d: (model) => model.panBy(PAN_SHARE),
  ArrowLeft: (model) => model.panBy(-PAN_SHARE),
  ArrowRight: (model) => model.panBy(PAN_SHARE),
  ArrowUp: (_, actions) => actions.scroll(-3),
  ArrowDown: (_, actions) => actions.scroll(3),
  PageUp: (_, actions) => actions.scroll(-20),
  PageDown: (_, actions) => actions.scroll(20),
  Home: (model) => model.panBy(-1e9),
  End: (model) => model.panBy(1e9),
  0: (model) => model.fit(),
  f: (model) => model.fitSelection(),
  ',': (model) => model.step(-1),
  '.': (model) => model.step(1),
  n: (model) => model.goToMatch(1),
  p: (model) => model.goToMatch(-1),
  g: (model) => model.toggleGaps(),
  m: (model) => model.toggleMoves(),
  '/': (_, actions) => actions.search(),
  '?': (_, actions) => actions.help(),
  Escape: (_, actions) => actions.close(),
}

/**
 * The action of a key; undefined if it has none.
 * @param {string} key
 * @param {Model} model
 * @param {UiActions} actions
 * @returns {(() => void) | undefined}
 */
export function commandOf(key, model, actions) {
  const name = [key, key.toLowerCase()].find((name) => Object.hasOwn(COMMANDS, name))
  return name === undefined ? undefined : () => COMMANDS[name](model, actions)
}
