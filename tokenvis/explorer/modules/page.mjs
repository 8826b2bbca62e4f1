// The explorer as a standalone page: the traces are compressed in the page, and there is no kernel.

import { Session } from './model/session.mjs'
import { showExplorer } from './ui/explorer.mjs'
import { element } from './ui/dom.mjs'
import { columnsOf } from './model/wire.mjs'

/**
 * @typedef {import('./model/trace.mjs').Message} Message
 * @typedef {{trace: string, blocks: Record<string, string>, keys: Record<string, string>, chunk: number, n: number,
 *   omitted: boolean}} Contents of a trace: block names by question and by key; spans per block of details, and in all
 */

/**
 * The bytes of a block of the page, which is base64 of gzip of a message or JSON.
 * @param {string} name
 */
async function bytesOf(name) {
  const text = document.getElementById(name)?.textContent ?? ''
  const bytes = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0))
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))
  return new Response(stream).arrayBuffer()
}

/** @param {string} name */
const jsonOf = async (name) => JSON.parse(new TextDecoder().decode(await bytesOf(name)))

/** Decodes a message: the length of its header, the header, then its buffers. @param {string} name @returns {Promise<Message>} */
async function messageOf(name) {
  const bytes = await bytesOf(name)
  const buffersStart = 4 + new DataView(bytes).getUint32(0, true)
  const header = JSON.parse(new TextDecoder().decode(bytes.slice(4, buffersStart)))
  let offset = buffersStart
  const buffers = header.sizes.map((/** @type {number} */ size) => {
    offset += size
    return bytes.slice(offset - size, offset)
  })
  return { header, buffers }
}

/** @param {Contents[]} traces @returns {import('./model/model.mjs').Source} */
function pageSource(traces) {
  const cache = /** @type {Map<string, Promise<any>>} */ (new Map())
  /** @template T @param {string} name @param {(name: string) => Promise<T>} read @returns {Promise<T>} */
  const cached = (name, read) => {
    if (!cache.has(name)) cache.set(name, read(name))
    return /** @type {Promise<T>} */ (cache.get(name))
  }
  /** @param {Contents} contents */
  const labelsOf = async ({ keys }) => {
    if (!keys.label) return () => ''
    const { header, buffers } = await cached(keys.label, messageOf)
    const { codes } = columnsOf(header.columns, buffers)
    return (/** @type {number} */ row) => (header.missing && codes[row] === header.names.length - 1 ? '' : header.names[codes[row]])
  }
  /** @type {Record<string, (contents: Contents, params: any) => Promise<any>>} */
  const answers = {
    keys: async ({ keys }) => ({ header: { keys: Object.keys(keys).filter((key) => key !== 'label') } }),
    column: async ({ keys }, { key }) => {
      if (!Object.hasOwn(keys, key)) throw new Error(`This page has no key ${key}.`)
      return cached(keys[key], messageOf)
    },
    labels: async (contents, { rows }) => ({ header: { labels: rows.map(await labelsOf(contents)) } }),
    search: async (contents, { query }) => {
      const label = await labelsOf(contents)
      const matches = []
      for (let row = 0; row < contents.n; row++) if (label(row).toLowerCase().includes(query)) matches.push(row)
      const rows = Uint32Array.from(matches)
      return { header: { columns: [{ name: 'rows', type: 'u32', ascending: false, n_wide: 0 }] }, buffers: [rows.buffer] }
    },
    details: async (contents, { row }) => {
      const { chunk, omitted, blocks } = contents
      const details = (await cached(blocks[`details-${Math.floor(row / chunk)}`], jsonOf))[row % chunk]
      return { header: { details: { ...details, omitted } } }
    },
  }
  return {
    async ask(question, params = {}) {
      const contents = /** @type {Contents} */ (traces.find(({ trace }) => trace === params.trace))
      const answer = question in answers
        ? await answers[question](contents, params)
        : await cached(contents.blocks[question], messageOf)
      return { buffers: [], ...answer, header: { ...answer.header, trace: params.trace } }
    },
    report() {},
  }
}

/** Opens the explorer. */
async function main() {
  const { opening, contents } = await jsonOf('contents')
  const host = /** @type {HTMLElement} */ (document.getElementById('explorer'))
  showExplorer(host, new Session(pageSource(contents), opening), { height: null })
}

main().catch((error) => {
  const problem = `This page cannot be shown: ${error.message}`
  document.getElementById('explorer')?.replaceChildren(element('p', { class: 'tokenvis tv-problem' }, problem))
})
