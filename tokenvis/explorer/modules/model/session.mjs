// The session: the traces that there are, and the model of the one that is shown.

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
    this.isLive = Boolean(opening.follow) // whether the traces are followed as they are recorded
    this.model = new Model(source, opening, opening.trace, opening.state)
  }

  /** Show a trace, from its beginning. @param {string | null} id @param {State} [state] */
  open(id, state = {}) {
    const { wanted, fold } = this.model
    this.model.isClosed = true
    this.model = new Model(this.source, { ...this.opening, fold }, id, { ...wanted, ...state })
    this.dispatchEvent(new Event('open'))
  }

  /** The traces have changed. @param {Opening['traces']} traces */
  async renew(traces) {
    this.opening = { ...this.opening, traces }
    this.model.traces = traces
    if (traces.some(({ id }) => id === this.model.id)) await renew(this.model)
  }

  /** Python follows the traces, or no longer. @param {boolean} isLive */
  follow(isLive) {
    this.isLive = isLive
    this.model.changed('live')
  }

  /** A user chose a trace. @param {string} id */
  choose(id) {
    this.source.say({ trace: id, of: this.model.id })
    this.open(id)
  }
}
