// Ellipsis: truncates texts to a width.

import { shortenedNames } from '../model/names.mjs'

const fittedNames = /** @type {WeakMap<string[], {key: string, texts: string[]}>} */ (new WeakMap()) // frames ask for the same

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

/**
 * Names shortened to a width, so that they stay different.
 * @param {CanvasRenderingContext2D} ctx
 * @param {number} maxWidth
 * @param {string[]} names
 * @returns {string[]}
 */
export function fitNames(ctx, maxWidth, names) {
  const key = `${maxWidth} ${ctx.font}`
  const known = fittedNames.get(names)
  if (known?.key === key) return known.texts
  const widths = /** @type {Map<string, number>} */ (new Map())
  const widthOf = (/** @type {string} */ letter) => {
    const width = widths.get(letter) ?? ctx.measureText(letter).width
    widths.set(letter, width)
    return width
  }
  const texts = shortenedNames(names, maxWidth, widthOf)
  fittedNames.set(names, { key, texts })
  return texts
}
