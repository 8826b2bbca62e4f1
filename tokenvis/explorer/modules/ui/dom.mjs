// Creates DOM elements from attributes and children; text is always text, never markup.

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} [attributes] "on..." is a listener, `true` an attribute without a value, `false` and null none
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value)
    else if (value === true) node.setAttribute(name, '')
    else if (value !== false && value !== null) node.setAttribute(name, String(value))
  }
  node.append(...children)
  return node
}

/**
 * A button with a symbol, and a label for its tooltip and for screen readers.
 * @param {string} symbol
 * @param {string} label
 * @param {() => void} onClick
 */
export function button(symbol, label, onClick) {
  return element('button', { type: 'button', title: label, 'aria-label': label, onclick: onClick }, symbol)
}
