/** Small helpers over the DOM. Text only ever becomes text: there is no way to pass markup. */

import { words } from "./words.js";

/**
 * Return the element with this id. It must exist.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no #${id}`);
  return found;
}

/**
 * Make an element. Properties are set as properties, `aria-*`, `role` and the like as attributes,
 * functions as listeners (`onclick`), strings among the children as text.
 * @param {string} tag
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {any}
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) setProperty(made, name, value);
  made.append(.../** @type {(Node | string)[]} */ (children.filter(isShown)));
  return made;
}

/** @param {any} child */
const isShown = (child) => child !== null && child !== undefined && child !== false && child !== "";

/** @param {HTMLElement} target @param {string} name @param {any} value */
function setProperty(target, name, value) {
  if (value === undefined || value === null) return;
  if (name.startsWith("on")) target.addEventListener(name.slice(2), value);
  else if (name in target) /** @type {any} */ (target)[name] = value;
  else target.setAttribute(name, value);
}

/**
 * Show a text in an element, or hide the element when there is none.
 * @param {HTMLElement} target
 * @param {string | null} text
 */
export function showText(target, text) {
  target.textContent = text ?? "";
  target.hidden = !text;
}

/** Write the words into the parts of the page that stand in index.html. */
export function writeWords() {
  const table = /** @type {Record<string, any>} */ (words);
  for (const node of document.querySelectorAll("[data-word]")) {
    node.textContent = table[/** @type {HTMLElement} */ (node).dataset.word ?? ""];
  }
  for (const node of document.querySelectorAll("[data-word-label]")) {
    node.setAttribute("aria-label", table[/** @type {HTMLElement} */ (node).dataset.wordLabel ?? ""]);
  }
  for (const node of document.querySelectorAll("[data-word-hint]")) {
    node.setAttribute("placeholder", table[/** @type {HTMLElement} */ (node).dataset.wordHint ?? ""]);
  }
}
