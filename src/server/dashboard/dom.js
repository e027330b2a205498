/** Element helpers. Text is always a text node, so output of models or files is never markup. */

/**
 * @typedef {Node | string | number | null | undefined | false} Child
 * @typedef {Record<string, unknown>} Props
 */

/**
 * `h("button", { class: "primary", on: { click } }, "Start")`. Properties are attributes, except
 * `on` (listeners) and `vars` (CSS custom properties, set through the object model: the content
 * security policy refuses style attributes). `true` is an empty attribute, `false` and `undefined`
 * none.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Props} [props]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") listen(element, /** @type {Record<string, EventListener>} */ (value));
    else if (name === "vars") setVars(element, /** @type {Record<string, string>} */ (value));
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

/** @param {Node} parent @param {(Child | Child[])[]} children */
export function append(parent, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false || child === "") continue;
    parent.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** @param {Element} parent @param {...(Child | Child[])} children */
export function fill(parent, ...children) {
  parent.textContent = "";
  append(parent, children);
}

/**
 * Only if it differs: keeps selections, and screen readers do not repeat themselves.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {HTMLElement} element @param {Record<string, string | number>} vars */
export function setVars(element, vars) {
  for (const [name, value] of Object.entries(vars)) element.style.setProperty(name, String(value));
}

/** @param {Element} element @param {Record<string, EventListener>} listeners */
function listen(element, listeners) {
  for (const [type, listener] of Object.entries(listeners)) {
    element.addEventListener(type, listener);
  }
}

/**
 * Reconciles children by key: those that stay keep their element, and with it focus and scroll.
 *
 * @template Item
 * @param {HTMLElement} container
 * @param {readonly Item[]} items
 * @param {(item: Item) => string} keyOf
 * @param {(item: Item) => HTMLElement} create
 * @param {(element: HTMLElement, item: Item) => void} update
 */
export function keyed(container, items, keyOf, create, update) {
  const old = new Map(
    /** @type {HTMLElement[]} */ ([...container.children]).map((
      child,
    ) => [child.dataset.key, child]),
  );
  // First, so that those after them are not moved, which would take their focus.
  const kept = new Set(items.map(keyOf));
  for (const [key, element] of old) if (!kept.has(key ?? "")) element.remove();
  items.forEach((item, index) => {
    const key = keyOf(item);
    let element = old.get(key);
    if (!element) {
      element = create(item);
      element.dataset.key = key;
    }
    update(element, item);
    if (container.children[index] !== element) {
      container.insertBefore(element, container.children[index] ?? null);
    }
  });
}

let lastId = 0;
/** An id for `for`, `aria-labelledby` and the like. @param {string} [name] */
export function uniqueId(name = "id") {
  return `${name}-${++lastId}`;
}

/** Announces a text to screen readers. @param {string} text */
export function announce(text) {
  const announcer = document.getElementById("announcer");
  if (announcer) setText(announcer, text);
}
