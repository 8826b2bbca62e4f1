// Finding: the spans that match a search, by agent name, location name or label.

import { rowsOfMessage } from './trace.mjs'

/**
 * The matching rows of a trace, ascending.
 * @param {import('./trace.mjs').Trace} trace
 * @param {string} query in lower case; an empty query matches nothing
 * @param {import('./trace.mjs').Message | null} labelMatches the rows whose label contains the query
 */
export function matchingRows(trace, query, labelMatches) {
  const matches = new Set(labelMatches ? rowsOfMessage(labelMatches) : [])
  for (const { codes, names } of query ? [trace.agent, trace.location] : []) {
    const isMatch = names.map((name) => name.toLowerCase().includes(query))
    if (!isMatch.some(Boolean)) continue
    for (let row = 0; row < codes.length; row++) if (isMatch[codes[row]]) matches.add(row)
  }
  return Uint32Array.from(matches).sort()
}
