/** The search box: a combobox whose suggestions are the labels that the pictures carry. */

import { listLabels } from "./api.js";
import { byId, element } from "./dom.js";
import { go, labelAddress } from "./route.js";

const PAUSE_MS = 120;
const SHOWN_SUGGESTIONS = 8;

/** Connects the box and its list, as the ARIA pattern "combobox with list autocomplete" wants it. */
export class Search {
  constructor() {
    this.box = byId("search-box");
    this.list = byId("search-list");
    this.active = -1;
    this.timer = 0;
    byId("search").addEventListener("submit", (/** @type {Event} */ event) => this.submit(event));
    this.box.addEventListener("input", () => this.suggestSoon());
    this.box.addEventListener("focus", () => this.suggestSoon());
    this.box.addEventListener("blur", () => this.close());
    this.box.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.onKey(event));
    this.box.addEventListener("search", () => this.box.value === "" && location.hash.includes("label=") && this.search(""));
  }

  /** Show what the address asks for. @param {string[]} labels */
  show(labels) {
    this.box.value = labels.join(", ");
    this.close();
  }

  /** @param {Event} event */
  submit(event) {
    event.preventDefault();
    const chosen = this.list.children[this.active];
    this.search(chosen ? chosen.dataset.name : this.box.value.trim());
  }

  /** @param {string} label */
  search(label) {
    this.box.value = label;
    this.close();
    go(labelAddress(label));
  }

  suggestSoon() {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.suggest(), PAUSE_MS);
  }

  async suggest() {
    const prefix = this.box.value.trim();
    const labels = await listLabels(prefix).catch(() => []);
    if (document.activeElement !== this.box || this.box.value.trim() !== prefix) return;
    this.activate(-1);
    this.list.replaceChildren(...labels.slice(0, SHOWN_SUGGESTIONS).map((label, index) => this.makeOption(label, index)));
    this.open(labels.length > 0);
  }

  /** @param {{name: string, count: number}} label @param {number} index */
  makeOption({ name, count }, index) {
    const option = element(
      "li",
      { id: `suggestion-${index}`, role: "option", "aria-selected": "false" },
      element("span", {}, name),
      element("span", { className: "count" }, String(count)),
    );
    option.dataset.name = name;
    option.addEventListener("pointerdown", (/** @type {Event} */ event) => event.preventDefault()); // Keeps the focus in the box.
    option.addEventListener("click", () => this.search(name));
    return option;
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape" && !this.list.hidden) {
      event.preventDefault();
      this.close();
    } else if (step) {
      event.preventDefault();
      if (this.list.hidden) this.suggest();
      else this.move(step);
    }
  }

  /** Move through the options; beyond either end lies the box itself. @param {number} step */
  move(step) {
    const places = this.list.children.length + 1;
    this.activate(((this.active + 1 + step + places) % places) - 1);
  }

  /** @param {number} index */
  activate(index) {
    this.active = index;
    [...this.list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === index)));
    const option = this.list.children[index];
    if (option) this.box.setAttribute("aria-activedescendant", option.id);
    else this.box.removeAttribute("aria-activedescendant");
  }

  /** @param {boolean} isOpen */
  open(isOpen) {
    this.list.hidden = !isOpen;
    this.box.setAttribute("aria-expanded", String(isOpen));
  }

  close() {
    clearTimeout(this.timer);
    this.activate(-1);
    this.open(false);
  }
}
