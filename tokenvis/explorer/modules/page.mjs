// The explorer as a page of its own: traces lie in the page, compressed, and no kernel is there to ask.

import { Session } from './model/session.mjs'
import { show } from './ui/explorer.mjs'
import { element } from './ui/dom.mjs'
import { columnsOf } from './model/wire.mjs'

/**
 * @typedef {import('./model/trace.mjs').Message} Message
 * @typedef {{trace: string, blocks: Record<string, string>, keys: Record<string, string>, chunk: number, n: number,
 *   omitted: boolean}} Contents of a
 *   trace: names of blocks, of what can be asked and of key columns; rows in a block of details
 */

/**
 * A block of the page: a message, or JSON, in gzip, in base64.
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

/** A message: how long its header is, the header, then its buffers. @param {string} name @returns {Promise<Message>} */
async function messageOf(name) {
  const bytes = await bytesOf(name)
  const begin = 4 + new DataView(bytes).getUint32(0, true)
  const header = JSON.parse(new TextDecoder().decode(bytes.slice(4, begin)))
  let at = begin
  const buffers = header.sizes.map((/** @type {number} */ size) => {
    at += size
    return bytes.slice(at - size, at)
  })
  return { header, buffers }
}

/** @param {Contents[]} traces @returns {import('./model/model.mjs').Source} */
function pageSource(traces) {
  const kept = /** @type {Map<string, Promise<any>>} */ (new Map())
  /** @template T @param {string} name @param {(name: string) => Promise<T>} read @returns {Promise<T>} */
  const once = (name, read) => {
    if (!kept.has(name)) kept.set(name, read(name))
    return /** @type {Promise<T>} */ (kept.get(name))
  }
  /** @param {Contents} contents */
  const labelsOf = async ({ keys }) => {
    if (!keys.label) return () => ''
    const { header, buffers } = await once(keys.label, messageOf)
    const { codes } = columnsOf(header.columns, buffers)
    return (/** @type {number} */ row) => (header.missing && codes[row] === header.names.length - 1 ? '' : header.names[codes[row]])
  }
  /** @type {Record<string, (contents: Contents, wish: any) => Promise<any>>} */
  const answers = {
    keys: async ({ keys }) => ({ header: { keys: Object.keys(keys).filter((key) => key !== 'label') } }),
    column: async ({ keys }, { key }) => {
      if (!Object.hasOwn(keys, key)) throw new Error(`There is no key ${key} in this page.`)
      return once(keys[key], messageOf)
    },
    labels: async (contents, { rows }) => ({ header: { labels: rows.map(await labelsOf(contents)) } }),
    search: async (contents, { query }) => {
      const label = await labelsOf(contents)
      const found = []
      for (let row = 0; row < contents.n; row++) if (label(row).toLowerCase().includes(query)) found.push(row)
      const rows = Uint32Array.from(found)
      return { header: { columns: [{ name: 'rows', type: 'u32', ascending: false, n_wide: 0 }] }, buffers: [rows.buffer] }
    },
    details: async (contents, { row }) => {
      const { chunk, omitted, blocks } = contents
      const found = (await once(blocks[`details-${Math.floor(row / chunk)}`], jsonOf))[row % chunk]
      return { header: { details: { ...found, omitted } } }
    },
  }
  return {
    async ask(what, wish = {}) {
      const contents = /** @type {Contents} */ (traces.find(({ trace }) => trace === wish.trace))
      const answer = what in answers ? await answers[what](contents, wish) : await once(contents.blocks[what], messageOf)
      return { buffers: [], ...answer, header: { ...answer.header, trace: wish.trace } }
    },
    say() {},
  }
}

/** Open the explorer that the page holds. */
async function open() {
  const { opening, contents } = await jsonOf('contents')
  const host = /** @type {HTMLElement} */ (document.getElementById('explorer'))
  show(host, new Session(pageSource(contents), opening), { height: null })
}

open().catch((error) => {
  const problem = `This page cannot be shown here: ${error.message}`
  document.getElementById('explorer')?.replaceChildren(element('p', { class: 'tokenvis tv-problem' }, problem))
})
