// The theme: light or dark, like the page around the explorer, and its colours in the form that canvases need.

/**
 * @typedef {{text: string, muted: string, line: string, band: string, background: string, error: string, accent: string,
 *   font: string}} Theme
 */

const THEME_VARIABLES = ['text', 'muted', 'line', 'band', 'background', 'error', 'accent', 'font']

/** Whether the page is dark: by the theme of the notebook, else by the system preference. */
function isDark() {
  const { jpThemeLight } = document.body.dataset
  if (jpThemeLight) return jpThemeLight === 'false'
  if (/\bvscode-/.test(document.body.className)) return !/\bvscode-(high-contrast-)?light\b/.test(document.body.className)
  if (document.documentElement.dataset.theme) return document.documentElement.dataset.theme === 'dark'
  return matchMedia('(prefers-color-scheme: dark)').matches
}

/**
 * Keeps `data-theme` of an element in sync with the page, and calls `onChange` after every change.
 * @param {HTMLElement} root
 * @param {() => void} onChange
 * @param {AbortSignal} signal
 */
export function followTheme(root, onChange, signal) {
  const follow = () => {
    const theme = isDark() ? 'dark' : 'light'
    if (root.dataset.theme === theme) return
    root.dataset.theme = theme
    onChange()
  }
  const observer = new MutationObserver(follow)
  observer.observe(document.body, { attributes: true, attributeFilter: ['class', 'data-jp-theme-light'] })
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] })
  signal.addEventListener('abort', () => observer.disconnect())
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', follow, { signal })
  follow()
}

/**
 * The colours and the font that the style sheet gives an element.
 * @param {HTMLElement} root
 * @returns {Theme}
 */
export function themeOf(root) {
  const style = getComputedStyle(root)
  return /** @type {Theme} */ (Object.fromEntries(THEME_VARIABLES.map((name) => [name, style.getPropertyValue(`--tv-${name}`).trim()])))
}

/** @param {string} color "#rrggbb" @returns {[number, number, number]} */
export function rgbOf(color) {
  const number = parseInt(color.slice(1), 16)
  return [number >> 16, (number >> 8) & 255, number & 255]
}

/** @type {WeakMap<string[], [number, number, number][]>} */
const rgbByPalette = new WeakMap()

/** The RGB channels of each colour of a palette, cached. @param {string[]} colors */
export function rgbsOf(colors) {
  const rgbs = rgbByPalette.get(colors) ?? colors.map(rgbOf)
  rgbByPalette.set(colors, rgbs)
  return rgbs
}

/** @type {Map<string, string>} */
const textColors = new Map()

/**
 * Black or white, for the better contrast on a colour (relative luminance of WCAG 2).
 * @param {string} color
 */
export function textColorOn(color) {
  const textColor = textColors.get(color) ?? pickTextColor(color)
  textColors.set(color, textColor)
  return textColor
}

/** @param {string} color */
function pickTextColor(color) {
  const [r, g, b] = rgbOf(color).map((value) => {
    const share = value / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.2 ? '#14161b' : '#ffffff'
}
