// The explorer in a notebook: an anywidget, which gets traces from the kernel in custom messages.
//
// Each question has a number, and its answer has the same number. Python also sends messages that were not requested: the opening
// with the first trace, state changes, and notices that a trace has changed, after which the page requests the new version.

import { StaleVersionError } from './model/fetching.mjs'
import { Session } from './model/session.mjs'
import { showExplorer } from './ui/explorer.mjs'
import { rowsMessage } from './model/wire.mjs'

/**
 * @typedef {import('./model/trace.mjs').Message} Message
 * @typedef {{send: (content: any, callbacks?: any, buffers?: ArrayBuffer[]) => void,
 *   on: (name: string, listener: (content: any, buffers: DataView[]) => void) => void}} Comm
 */

const [OPENING, PUSHED] = [-1, -2] // answer numbers of messages that were not requested
const OPENING_TIMEOUT_MS = 400 // a kernel that has just created the widget sends the opening within this time

/**
 * @param {Comm} comm
 * @param {(state: any, message: Message) => void} onUpdate receives messages that were not requested
 */
function kernelSource(comm, onUpdate) {
  let lastNumber = Math.floor(Math.random() * 2 ** 31) // random: answers reach every page of a kernel
  let heard = 0 // number of the last update from Python
  let isPushed = false // whether Python sends the first trace without a request
  /** @type {Map<number, {resolve: (message: Message) => void, reject: (error: Error) => void}>} */
  const pending = new Map()
  const answerTo = (/** @type {number} */ number) => new Promise((resolve, reject) => pending.set(number, { resolve, reject }))
  const ask = (/** @type {string} */ question, params = {}) => {
    comm.send({ ask: question, number: ++lastNumber, ...params })
    return answerTo(lastNumber)
  }
  const opening = answerTo(OPENING)
  const pushed = answerTo(PUSHED)
  const openingTimer = setTimeout(() => comm.send({ ask: 'opening', number: OPENING }), OPENING_TIMEOUT_MS)
  comm.on('msg:custom', ({ answer, error, stale, set, told: number, ...header }, buffers) => {
    const message = { header, buffers }
    if (answer === undefined && !set) return onUpdate(header, message)
    if (set) {
      heard = number
      return onUpdate(set, message)
    }
    if (answer === OPENING) {
      clearTimeout(openingTimer)
      heard = number
      isPushed = header.pushes
    }
    if (stale) pending.get(answer)?.reject(new StaleVersionError('The trace has changed since this request.'))
    else if (error !== undefined) pending.get(answer)?.reject(new Error(error))
    else pending.get(answer)?.resolve(message)
    return pending.delete(answer)
  })
  return {
    opening,
    /** @param {string} question @param {Record<string, any>} [params] @returns {Promise<Message>} */
    ask(question, params = {}) {
      if (question !== 'trace' || !isPushed) return ask(question, params)
      isPushed = false
      return pushed
    },
    /** @param {Record<string, any>} state @param {{rows: Uint32Array, count: number}} [selection] */
    report(state, selection) {
      if (!selection) return comm.send({ say: { ...state, heard } })
      const { as, buffer } = rowsMessage(selection.rows, selection.count)
      return comm.send({ say: { ...state, heard, as } }, undefined, [buffer])
    },
  }
}

/**
 * A source that reports a changing window at most every 80 ms, and always its last value, unless Python sets the window or
 * another trace is opened first.
 * @param {ReturnType<typeof kernelSource>} source
 */
function throttled(source) {
  let timer = 0
  let latest = /** @type {Record<string, any>} */ ({})
  const cancel = () => {
    clearTimeout(timer)
    timer = 0
  }
  return {
    ...source,
    cancel,
    /** @param {Record<string, any>} state @param {{rows: Uint32Array, count: number}} [selection] */
    report(state, selection) {
      if ('trace' in state) cancel() // the window belongs to another trace
      if (!('window' in state)) return source.report(state, selection)
      latest = state
      timer ||= window.setTimeout(() => {
        timer = 0
        source.report(latest)
      }, 80)
      return undefined
    },
  }
}

/** Reports to Python whether this page shows the explorer: when its first view is added, and when its last one is removed. */
class ViewCounter {
  /** @param {Comm} comm */
  constructor(comm) {
    this.comm = comm
    this.page = Math.floor(Math.random() * 2 ** 31)
    this.count = 0
  }

  add() {
    if (this.count++ === 0) this.comm.send({ page: this.page, shown: true })
  }

  remove() {
    if (--this.count === 0) this.comm.send({ page: this.page, shown: false })
  }
}

export default () => {
  /** @type {Promise<{session: Session, height: number | null}>} */
  let opened
  /** @type {ViewCounter} */
  let views
  return {
    /** @param {{model: Comm}} context */
    initialize({ model: comm }) {
      const source = throttled(kernelSource(comm, async (state, message) => {
        const { session } = await opened
        if (state.renewed !== undefined) return session.renew(state.traces)
        if (state.follow !== undefined) return session.setLive(state.follow)
        if (state.problem !== undefined) return session.model.showProblem(state.problem)
        if (state.window) source.cancel()
        if (state.trace !== undefined) return session.open(state.trace, state)
        const { model } = session
        await model.opened
        return model.apply(state, message.header.columns ? message : undefined)
      }))
      views = new ViewCounter(comm)
      opened = source.opening.then(({ header }) => ({ session: new Session(source, header), height: header.height }))
    },
    /** @param {{el: HTMLElement}} context */
    async render({ el }) {
      const { session, height } = await opened
      const end = showExplorer(el, session, { height })
      views.add()
      return () => {
        end()
        views.remove()
      }
    },
  }
}
