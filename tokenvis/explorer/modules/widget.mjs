// The explorer in a notebook: an anywidget, whose traces come from the kernel in messages of its own.
//
// Questions carry a number, and an answer carries that of its question. What Python says unasked is the opening, with the first
// trace, changes of the state, and that a trace has changed, which the page then asks for when it can.

import { OutOfDate } from './model/fetching.mjs'
import { Session } from './model/session.mjs'
import { show } from './ui/explorer.mjs'
import { rowsMessage } from './model/wire.mjs'

/**
 * @typedef {import('./model/trace.mjs').Message} Message
 * @typedef {{send: (content: any, callbacks?: any, buffers?: ArrayBuffer[]) => void,
 *   on: (name: string, act: (content: any, buffers: DataView[]) => void) => void}} Comm
 */

const [OPENING, PUSHED] = [-1, -2] // numbers of what is sent without a question
const PATIENCE = 400 // ms in which a kernel that has just made the widget sends the opening by itself

/**
 * @param {Comm} comm
 * @param {(state: any, message: Message) => void} told is given what Python says unasked
 */
function kernelSource(comm, told) {
  let last = Math.floor(Math.random() * 2 ** 31) // answers come to every page of a kernel
  let heard = 0 // which time it was that Python told something last
  let isPushed = false // whether the first trace comes by itself
  /** @type {Map<number, {resolve: (message: Message) => void, reject: (error: Error) => void}>} */
  const waiting = new Map()
  const answered = (/** @type {number} */ number) => new Promise((resolve, reject) => waiting.set(number, { resolve, reject }))
  const ask = (/** @type {string} */ what, wish = {}) => {
    comm.send({ ask: what, number: ++last, ...wish })
    return answered(last)
  }
  const opening = answered(OPENING)
  const pushed = answered(PUSHED)
  const asking = setTimeout(() => comm.send({ ask: 'opening', number: OPENING }), PATIENCE)
  comm.on('msg:custom', ({ answer, error, stale, set, told: number, ...header }, buffers) => {
    const message = { header, buffers }
    if (answer === undefined && !set) return told(header, message)
    if (set) {
      heard = number
      return told(set, message)
    }
    if (answer === OPENING) {
      clearTimeout(asking)
      heard = number
      isPushed = header.pushes
    }
    if (stale) waiting.get(answer)?.reject(new OutOfDate('The trace has changed since.'))
    else if (error !== undefined) waiting.get(answer)?.reject(new Error(error))
    else waiting.get(answer)?.resolve(message)
    return waiting.delete(answer)
  })
  return {
    opening,
    /** @param {string} what @param {Record<string, any>} [wish] @returns {Promise<Message>} */
    ask(what, wish = {}) {
      if (what !== 'trace' || !isPushed) return ask(what, wish)
      isPushed = false
      return pushed
    },
    /** @param {Record<string, any>} state @param {{rows: Uint32Array, count: number}} [selection] */
    say(state, selection) {
      if (!selection) return comm.send({ say: { ...state, heard } })
      const { as, buffer } = rowsMessage(selection.rows, selection.count)
      return comm.send({ say: { ...state, heard, as } }, undefined, [buffer])
    },
  }
}

/**
 * Windows change with every frame: of those, one in a while is told, and always the last, unless Python says something meanwhile.
 * @param {ReturnType<typeof kernelSource>} source
 */
function unhurried(source) {
  let waiting = 0
  let latest = /** @type {Record<string, any>} */ ({})
  const forget = () => {
    clearTimeout(waiting)
    waiting = 0
  }
  return {
    ...source,
    forget,
    /** @param {Record<string, any>} state @param {{rows: Uint32Array, count: number}} [selection] */
    say(state, selection) {
      if ('trace' in state) forget() // the window of another one
      if (!('window' in state)) return source.say(state, selection)
      latest = state
      waiting ||= window.setTimeout(() => {
        waiting = 0
        source.say(latest)
      }, 80)
      return undefined
    },
  }
}

/** Tells Python whether this page shows the explorer: when the first view of it comes, and when the last one goes. */
class Views {
  /** @param {Comm} comm */
  constructor(comm) {
    this.comm = comm
    this.page = Math.floor(Math.random() * 2 ** 31)
    this.count = 0
  }

  come() {
    if (this.count++ === 0) this.comm.send({ page: this.page, shown: true })
  }

  go() {
    if (--this.count === 0) this.comm.send({ page: this.page, shown: false })
  }
}

export default () => {
  /** @type {Promise<{session: Session, height: number | null}>} */
  let opened
  /** @type {Views} */
  let views
  return {
    /** @param {{model: Comm}} context */
    initialize({ model: comm }) {
      const source = unhurried(kernelSource(comm, async (state, message) => {
        const { session } = await opened
        if (state.renewed !== undefined) return session.renew(state.traces)
        if (state.follow !== undefined) return session.follow(state.follow)
        if (state.problem !== undefined) return session.model.tell(state.problem)
        if (state.window) source.forget()
        if (state.trace !== undefined) return session.open(state.trace, state)
        const { model } = session
        await model.opened
        return model.apply(state, message.header.columns ? message : undefined)
      }))
      views = new Views(comm)
      opened = source.opening.then(({ header }) => ({ session: new Session(source, header), height: header.height }))
    },
    /** @param {{el: HTMLElement}} context */
    async render({ el }) {
      const { session, height } = await opened
      const end = show(el, session, { height })
      views.come()
      return () => {
        end()
        views.go()
      }
    },
  }
}
