// Lettering: how much of a text fits.

/**
 * The first of some texts that fits its room; if none does, the last one, cut.
 * @param {CanvasRenderingContext2D} ctx
 * @param {number} room
 * @param {string[]} texts the longest first
 */
export function fitted(ctx, room, ...texts) {
  const fits = (/** @type {string} */ text) => ctx.measureText(text).width <= room
  const whole = texts.find(fits)
  if (whole !== undefined) return whole
  const letters = Array.from(texts[texts.length - 1] ?? '')
  let [low, high] = [0, letters.length]
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (fits(`${letters.slice(0, middle).join('')}…`)) low = middle
    else high = middle - 1
  }
  return low ? `${letters.slice(0, low).join('')}…` : ''
}
