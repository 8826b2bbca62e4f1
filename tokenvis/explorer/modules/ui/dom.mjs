// Elements, made of attributes and children; texts are always text, never markup.

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} [attributes] "on..." is a listener, `true` an attribute without a value, `false` and null none
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value)
    else if (value === true) made.setAttribute(name, '')
    else if (value !== false && value !== null) made.setAttribute(name, String(value))
  }
  made.append(...children)
  return made
}

/**
 * A button with a name for those who cannot see its sign.
 * @param {string} sign
 * @param {string} name
 * @param {() => void} press
 */
export function button(sign, name, press) {
  return element('button', { type: 'button', title: name, 'aria-label': name, onclick: press }, sign)
}
