// Keys: what each one does while the canvas, or anything of the explorer but a field, has the focus.

/** @typedef {import('../model/model.mjs').Model} Model */

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
 * What a key does; undefined where it does nothing.
 * @param {string} key
 * @param {Model} model
 * @param {{scroll: (lines: number) => void, search: () => void, help: () => void, close: () => void}} shell
 * @returns {(() => void) | undefined}
 */
export function commandOf(key, model, shell) {
  /** @type {Record<string, () => void>} */
  const commands = {
    w: () => model.zoomBy(ZOOM),
    s: () => model.zoomBy(1 / ZOOM),
    '+': () => model.zoomBy(1.5),
    '=': () => model.zoomBy(1.5),
    '-': () => model.zoomBy(1 / 1.5),
    a: () => model.panBy(-PAN),
    d: () => model.panBy(PAN),
    ArrowLeft: () => model.panBy(-PAN),
    ArrowRight: () => model.panBy(PAN),
    ArrowUp: () => shell.scroll(-3),
    ArrowDown: () => shell.scroll(3),
    PageUp: () => shell.scroll(-20),
    PageDown: () => shell.scroll(20),
    Home: () => model.panBy(-1e9),
    End: () => model.panBy(1e9),
    0: () => model.fit(),
    f: () => model.fitSelection(),
    ',': () => model.step(-1),
    '.': () => model.step(1),
    n: () => model.toMatch(1),
    p: () => model.toMatch(-1),
    g: () => model.toggleGaps(),
    m: () => model.toggleMoves(),
    '/': shell.search,
    '?': shell.help,
    Escape: shell.close,
  }
  const known = [key, key.toLowerCase()].find((name) => Object.hasOwn(commands, name))
  return known === undefined ? undefined : commands[known]
}
