// Ellipsis: truncates texts to a width.

/**
 * The first text that fits the width; if none does, the last one, truncated.
 * @param {CanvasRenderingContext2D} ctx
 * @param {number} maxWidth
 * @param {string[]} texts longest first
 */
export function fitText(ctx, maxWidth, ...texts) {
  const fits = (/** @type {string} */ text) => ctx.measureText(text).width <= maxWidth
  const fitting = texts.find(fits)
  if (fitting !== undefined) return fitting
  const characters = Array.from(texts[texts.length - 1] ?? '')
  let [low, high] = [0, characters.length]
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (fits(`${characters.slice(0, middle).join('')}…`)) low = middle
    else high = middle - 1
  }
  return low ? `${characters.slice(0, low).join('')}…` : ''
}
