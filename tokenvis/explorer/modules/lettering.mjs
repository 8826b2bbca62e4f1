// Lettering: how much of a text fits.

/**
 * A text, cut where it is wider than its room.
 * @param {CanvasRenderingContext2D} ctx
 * @param {string} text
 * @param {number} room
 */
export function fitted(ctx, text, room) {
  if (ctx.measureText(text).width <= room) return text
  const letters = Array.from(text)
  let [low, high] = [0, letters.length]
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (ctx.measureText(`${letters.slice(0, middle).join('')}…`).width <= room) low = middle
    else high = middle - 1
  }
  return low ? `${letters.slice(0, low).join('')}…` : ''
}
