// The session: the list of traces, and the model of the shown one.

import { Model } from './model.mjs'
import { renew } from './renewal.mjs'

/**
 * @typedef {import('./model.mjs').Opening} Opening
 * @typedef {import('./model.mjs').Source} Source
 * @typedef {import('./model.mjs').State} State
 */

export class Session extends EventTarget {
  /** @param {Source} source @param {Opening} opening */
  constructor(source, opening) {
    super()
    this.source = source
    this.opening = opening
    this.isLive = Boolean(opening.follow) // whether Python follows the traces while they are recorded
    this.model = new Model(source, opening, opening.trace, opening.state)
  }

  /** Opens a trace, with a new model. @param {string | null} id @param {State} [state] */
  open(id, state = {}) {
    const { requested, fold } = this.model
    this.model.isClosed = true
    this.model = new Model(this.source, { ...this.opening, fold }, id, { ...requested, ...state })
    this.dispatchEvent(new Event('open'))
  }

  /** Updates the list of traces, and the shown trace if it is in the list. @param {Opening['traces']} traces */
  async renew(traces) {
    this.opening = { ...this.opening, traces }
    this.model.traces = traces
    if (traces.some(({ id }) => id === this.model.id)) await renew(this.model)
  }

  /** Sets whether Python follows the traces. @param {boolean} isLive */
  setLive(isLive) {
    this.isLive = isLive
    this.model.emitChange('live')
  }

  /** Opens a trace that the user chose. @param {string} id */
  choose(id) {
    this.source.report({ trace: id, of: this.model.id })
    this.open(id)
  }
}
