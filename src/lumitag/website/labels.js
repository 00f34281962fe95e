/** How labels are ordered and drawn, the same on a card and beside the large picture. */

import { element } from "./dom.js";
import { labelAddress } from "./route.js";
import { words } from "./words.js";

/** @typedef {import("./api.js").Label} Label */

/**
 * Order labels so that the telling ones come first. `Mammal` and `Animal` follow from `Cat` and are never less sure:
 * what is implied counts less, and the less the more general it is.
 * @param {Label[]} labels
 * @returns {Label[]}
 */
export function specificFirst(labels) {
  const implied = new Set(labels.flatMap((label) => label.parents));
  const weight = (/** @type {Label} */ { name, parents }) =>
    implied.has(name) ? 0.6 + (0.4 * parents.length) / (parents.length + 1) : 1;
  return [...labels].sort((one, other) => other.confidence * weight(other) - one.confidence * weight(one));
}

/**
 * Return the names that describe a picture in a few words.
 * @param {Label[]} labels
 * @param {number} limit
 * @returns {string[]}
 */
export const topNames = (labels, limit) => specificFirst(labels).slice(0, limit).map((label) => label.name);

/**
 * Draw a label as a tag that leads to all images with it. The surer the label, the brighter its lamp.
 * @param {Label} label
 * @returns {HTMLElement}
 */
export function makeTag(label) {
  const title = `${words.searchFor(label.name)} (${words.percent(label.confidence)})`;
  return lit(element("a", { className: "tag", href: labelAddress(label.name), title }, lamp(), label.name), label.confidence);
}

/**
 * Draw a tag that leads nowhere, as an example.
 * @param {string} name
 * @param {number} confidence
 * @returns {HTMLElement}
 */
export const makeExampleTag = (name, confidence) => lit(element("span", { className: "tag" }, lamp(), name), confidence);

/** @returns {HTMLElement} */
const lamp = () => element("span", { className: "lamp", "aria-hidden": "true" });

/**
 * Let an element and what is in it shine as bright as a confidence.
 * @param {HTMLElement} target
 * @param {number} confidence percent
 * @returns {HTMLElement}
 */
export function lit(target, confidence) {
  target.style.setProperty("--light", String(Math.max(0, Math.min(100, confidence)) / 100));
  return target;
}
