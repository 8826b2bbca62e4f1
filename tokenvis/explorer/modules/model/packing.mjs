// Lane packing: the greedy sweep line of tokenvis.layout.lanes. Each span gets the lowest free lane of its band.
//
// The lanes of a band are the leaves of a tree in which each node stores the earliest end below it, so the lowest free lane is
// found by descending from the root. Spans come in the order of a frame (start, end, agent, id), so the same spans always get
// the same lanes.

/** @typedef {import('./wire.mjs').Numbers} Numbers */

class Lanes {
  constructor() {
    this.capacity = 1
    this.until = new Float64Array(2).fill(-Infinity) // node k is the parent of nodes 2k and 2k + 1; leaves are lanes
    this.nLanes = 0
  }

  /** @param {number} start @param {number} until */
  assign(start, until) {
    if (this.until[1] > start) this.grow()
    let node = 1
    while (node < this.capacity) node = this.until[2 * node] <= start ? 2 * node : 2 * node + 1
    const lane = node - this.capacity
    this.set(node, until)
    this.nLanes = Math.max(this.nLanes, lane + 1)
    return lane
  }

  /** @param {number} leaf @param {number} until */
  set(leaf, until) {
    this.until[leaf] = until
    for (let node = leaf >> 1; node; node >>= 1) {
      this.until[node] = Math.min(this.until[2 * node], this.until[2 * node + 1])
    }
  }

  grow() {
    const leaves = this.until.slice(this.capacity)
    this.capacity *= 2
    this.until = new Float64Array(2 * this.capacity).fill(-Infinity)
    leaves.forEach((until, lane) => this.set(this.capacity + lane, until))
  }
}

/**
 * The lane of each span, and the number of lanes of each band.
 * @param {Numbers} band a code for each span
 * @param {Float64Array} start
 * @param {Float64Array} end an instant takes its own microsecond
 * @param {number} nBands
 */
export function packLanes(band, start, end, nBands) {
  const lanes = Array.from({ length: nBands }, () => new Lanes())
  const lane = new Uint32Array(start.length)
  for (let row = 0; row < start.length; row++) {
    lane[row] = lanes[band[row]].assign(start[row], Math.max(end[row], start[row] + 1))
  }
  return { lane, nLanes: Uint32Array.from(lanes, ({ nLanes }) => nLanes) }
}
