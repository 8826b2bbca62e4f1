// Finding: the spans that a search finds, by the names of their agents and locations, and by their labels.

import { rowsIn } from './trace.mjs'

/**
 * The rows of a trace, ascending.
 * @param {import('./trace.mjs').Trace} trace
 * @param {string} words in small letters; none find nothing
 * @param {import('./trace.mjs').Message | null} labelled the rows whose label has the words in it
 */
export function foundIn(trace, words, labelled) {
  const found = new Set(labelled ? rowsIn(labelled) : [])
  for (const { codes, names } of words ? [trace.agent, trace.location] : []) {
    const named = names.map((name) => name.toLowerCase().includes(words))
    if (!named.some(Boolean)) continue
    for (let row = 0; row < codes.length; row++) if (named[codes[row]]) found.add(row)
  }
  return Uint32Array.from(found).sort()
}
