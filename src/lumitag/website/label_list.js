/** The labels beside the large picture: confidence as a bar, where a label belongs, where it was seen. */

import { element } from "./dom.js";
import { lit, specificFirst } from "./labels.js";
import { labelAddress } from "./route.js";
import { words } from "./words.js";

/** @typedef {import("./api.js").Label} Label */

/** The list of one picture. `onLight` hears which label a reader points at, null for none. */
export class LabelList {
  /** @param {(label: string | null) => void} onLight @param {(label: string) => void} onPin */
  constructor(onLight, onPin) {
    this.onLight = onLight;
    this.onPin = onPin;
    this.node = element("ul", { className: "labels" });
  }

  /** @param {Label[]} labels */
  show(labels) {
    this.node.replaceChildren(...specificFirst(labels).map((label) => this.makeRow(label)));
  }

  /** @param {Label} label @returns {HTMLElement} */
  makeRow(label) {
    const link = element("a", { href: labelAddress(label.name), title: words.searchFor(label.name) }, label.name);
    const percent = element("span", { className: "percent" }, words.percent(label.confidence));
    const bar = element("span", { className: "light-bar", "aria-hidden": "true" }, element("span"));
    const row = element(
      "li",
      {
        className: "label",
        onpointerenter: () => this.onLight(label.name),
        onpointerleave: () => this.onLight(null),
        onfocusin: () => this.onLight(label.name),
        onfocusout: () => this.onLight(null),
      },
      element("div", { className: "label-head" }, link, this.makePlaces(label), percent),
      bar,
      element("p", { className: "small" }, [words.kindOf(label.parents), label.categories.join(", ")].filter(Boolean).join(" · ")),
    );
    row.dataset.label = label.name;
    return lit(row, label.confidence);
  }

  /** @param {Label} label @returns {HTMLElement | null} */
  makePlaces(label) {
    if (label.instances.length === 0) return null;
    const text = words.placesIn(label.instances.length);
    return element(
      "button",
      {
        type: "button",
        className: "places",
        "aria-pressed": "false",
        "aria-label": `${words.places}: ${label.name}, ${text}`,
        onclick: () => this.onPin(label.name),
      },
      text,
    );
  }

  /** @param {string | null} name @param {string | null} pinned */
  light(name, pinned) {
    for (const row of this.node.children) {
      row.classList.toggle("is-lit", row.dataset.label === name);
      row.querySelector(".places")?.setAttribute("aria-pressed", String(row.dataset.label === pinned));
    }
  }
}
