// The look: light or dark as the page around it is, and colours as canvases take them.

/**
 * @typedef {{ink: string, quiet: string, rule: string, shade: string, paper: string, error: string, accent: string,
 *   font: string}} Look
 */

const COLORS = ['ink', 'quiet', 'rule', 'shade', 'paper', 'error', 'accent', 'font']

/** Whether the page is dark: as a notebook's theme says, else as its reader's system does. */
function isDark() {
  const { jpThemeLight } = document.body.dataset
  if (jpThemeLight) return jpThemeLight === 'false'
  if (/\bvscode-/.test(document.body.className)) return !/\bvscode-(high-contrast-)?light\b/.test(document.body.className)
  if (document.documentElement.dataset.theme) return document.documentElement.dataset.theme === 'dark'
  return matchMedia('(prefers-color-scheme: dark)').matches
}

/**
 * Keeps `data-theme` of an element as the page is, and tells of every change.
 * @param {HTMLElement} root
 * @param {() => void} changed
 * @param {AbortSignal} signal
 */
export function followTheme(root, changed, signal) {
  const follow = () => {
    const theme = isDark() ? 'dark' : 'light'
    if (root.dataset.theme === theme) return
    root.dataset.theme = theme
    changed()
  }
  const observer = new MutationObserver(follow)
  observer.observe(document.body, { attributes: true, attributeFilter: ['class', 'data-jp-theme-light'] })
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] })
  signal.addEventListener('abort', () => observer.disconnect())
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', follow, { signal })
  follow()
}

/**
 * The colours that the style sheet gives an element.
 * @param {HTMLElement} root
 * @returns {Look}
 */
export function lookOf(root) {
  const style = getComputedStyle(root)
  return /** @type {Look} */ (Object.fromEntries(COLORS.map((name) => [name, style.getPropertyValue(`--tv-${name}`).trim()])))
}

/** @param {string} color "#rrggbb" @returns {[number, number, number]} */
export function channels(color) {
  const number = parseInt(color.slice(1), 16)
  return [number >> 16, (number >> 8) & 255, number & 255]
}

/** @type {WeakMap<string[], [number, number, number][]>} */
const kept = new WeakMap()

/** The channels of many colours, worked out once. @param {string[]} colors */
export function channelsOf(colors) {
  const known = kept.get(colors) ?? colors.map(channels)
  kept.set(colors, known)
  return known
}

/** @type {Map<string, string>} */
const inks = new Map()

/**
 * Black or white, whichever is read more easily on a colour (WCAG 2's relative luminance).
 * @param {string} color
 */
export function inkOn(color) {
  const ink = inks.get(color) ?? inkFor(color)
  inks.set(color, ink)
  return ink
}

/** @param {string} color */
function inkFor(color) {
  const [r, g, b] = channels(color).map((value) => {
    const share = value / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.2 ? '#14161b' : '#ffffff'
}
