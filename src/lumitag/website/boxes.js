/**
 * Boxes over a picture. They are ratios of it, so they fit at every size.
 * A lit box keeps its light while the rest of the picture is dimmed.
 */

import { element } from "./dom.js";
import { words } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const HOLES = "holes";
// A hair more than the picture, because browsers round the edges of a picture to whole pixels and those of a shape not.
const WHOLE = { x: -0.001, y: -0.001, width: 1.002, height: 1.002 };

/** @typedef {import("./api.js").Label} Label */
/** @typedef {import("./api.js").BoundingBox} BoundingBox */
/** @typedef {{label: string, box: BoundingBox, node: HTMLElement}} PlacedBox */

/** The boxes of one picture. `onLight` hears which label a reader points at, null for none. */
export class Boxes {
  /** @param {(label: string | null) => void} onLight @param {(label: string) => void} onPin */
  constructor(onLight, onPin) {
    this.onLight = onLight;
    this.onPin = onPin;
    /** @type {PlacedBox[]} */
    this.placed = [];
    this.holes = svg("mask", { id: HOLES, maskContentUnits: "userSpaceOnUse" });
    this.shade = svg("svg", { class: "shade", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" });
    this.shade.append(this.holes, svg("rect", { ...WHOLE, mask: `url(#${HOLES})` }));
    this.node = element("div", { className: "boxes" }, this.shade);
  }

  /** @param {Label[]} labels */
  show(labels) {
    for (const { node } of this.placed) node.remove();
    this.placed = labels.flatMap((label) => label.instances.map((instance, index) => this.place(label, instance, index)));
    // Small boxes lie on top of large ones, so that each can be pointed at.
    this.placed.sort((one, other) => area(other.box) - area(one.box));
    this.node.append(...this.placed.map((placed) => placed.node));
  }

  /** @param {Label} label @param {import("./api.js").Instance} instance @param {number} index @returns {PlacedBox} */
  place(label, instance, index) {
    const name = words.boxName(label.name, instance.confidence, index, label.instances.length);
    const node = element(
      "button",
      {
        type: "button",
        className: "box",
        "aria-label": name,
        onpointerenter: () => this.onLight(label.name),
        onpointerleave: () => this.onLight(null),
        onfocus: () => this.onLight(label.name),
        onblur: () => this.onLight(null),
        onclick: () => this.onPin(label.name),
      },
      element("span", { className: "box-name", "aria-hidden": "true" }, label.name),
    );
    node.dataset.label = label.name;
    for (const side of /** @type {(keyof BoundingBox)[]} */ (["left", "top", "width", "height"])) {
      node.style[side] = `${instance.boundingBox[side] * 100}%`;
    }
    node.classList.toggle("is-high", instance.boundingBox.top < 0.08);
    return { label: label.name, box: instance.boundingBox, node };
  }

  /** Light the boxes of one label, or all alike. @param {string | null} name */
  light(name) {
    const lit = this.placed.filter((placed) => placed.label === name);
    for (const { label, node } of this.placed) {
      node.classList.toggle("is-lit", label === name);
      node.classList.toggle("is-dim", lit.length > 0 && label !== name);
    }
    this.node.classList.toggle("has-light", lit.length > 0);
    if (lit.length === 0) return; // The holes stay where they are while the shade fades.
    const holes = lit.map(({ box }) => svg("rect", { x: box.left, y: box.top, width: box.width, height: box.height, fill: "#000" }));
    this.holes.replaceChildren(svg("rect", { ...WHOLE, fill: "#fff" }), ...holes);
  }
}

/** @param {BoundingBox} box */
const area = (box) => box.width * box.height;

/** @param {string} tag @param {Record<string, string | number>} attributes @returns {SVGElement} */
function svg(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}
