// Keys: what each one does while the canvas, or anything of the explorer but a field, has the focus.

/**
 * @typedef {import('../model/model.mjs').Model} Model
 * @typedef {{scroll: (lines: number) => void, search: () => void, help: () => void, close: () => void}} Shell
 */

const PAN = 0.15 // of the window
const ZOOM = 1.4

/** What the help says: keys, and what they do. @type {[string, string][]} */
export const HELP = [
  ['W S, + −', 'zoom in and out'],
  ['Ctrl or ⌘ + wheel', 'zoom about the pointer'],
  ['A D, ← →', 'pan in time'],
  ['drag, wheel', 'pan; Shift + wheel in time'],
  ['↑ ↓, Page ↑ ↓', 'scroll the lanes'],
  ['Home, End', 'go to the start, the end'],
  ['0, F', 'show all of the trace; show the selection'],
  ['click', 'select a span, see its details'],
  ['Ctrl or ⌘ + click', 'add a span to the selection'],
  ['Shift + drag', 'select all spans in a box'],
  ['drag on the ruler', 'zoom to that time'],
  ['double-click', 'zoom to a span'],
  ['click on a name', 'fold or unfold its band'],
  [', .', 'previous, next span'],
  ['/', 'search; Enter, Shift + Enter: next, previous'],
  ['N P', 'next, previous match'],
  ['G, M', 'fold gaps or not; show moves or not'],
  ['Esc', 'close, or select nothing'],
  ['?', 'this help'],
]

/**
 * What each key does, by its name.
 * @type {Record<string, (model: Model, shell: Shell) => void>}
 */
export const COMMANDS = {
  w: (model) => model.zoomBy(ZOOM),
  s: (model) => model.zoomBy(1 / ZOOM),
  '+': (model) => model.zoomBy(1.5),
  '=': (model) => model.zoomBy(1.5),
  '-': (model) => model.zoomBy(1 / 1.5),
  a: (model) => model.panBy(-PAN),
  d: (model) => model.panBy(PAN),
  ArrowLeft: (model) => model.panBy(-PAN),
  ArrowRight: (model) => model.panBy(PAN),
  ArrowUp: (_, shell) => shell.scroll(-3),
  ArrowDown: (_, shell) => shell.scroll(3),
  PageUp: (_, shell) => shell.scroll(-20),
  PageDown: (_, shell) => shell.scroll(20),
  Home: (model) => model.panBy(-1e9),
  End: (model) => model.panBy(1e9),
  0: (model) => model.fit(),
  f: (model) => model.fitSelection(),
  ',': (model) => model.step(-1),
  '.': (model) => model.step(1),
  n: (model) => model.toMatch(1),
  p: (model) => model.toMatch(-1),
  g: (model) => model.toggleGaps(),
  m: (model) => model.toggleMoves(),
  '/': (_, shell) => shell.search(),
  '?': (_, shell) => shell.help(),
  Escape: (_, shell) => shell.close(),
}

/**
 * What a key does; undefined where it does nothing.
 * @param {string} key
 * @param {Model} model
 * @param {Shell} shell
 * @returns {(() => void) | undefined}
 */
export function commandOf(key, model, shell) {
  const known = [key, key.toLowerCase()].find((name) => Object.hasOwn(COMMANDS, name))
  return known === undefined ? undefined : () => COMMANDS[known](model, shell)
}
