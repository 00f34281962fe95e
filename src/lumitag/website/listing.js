/** A titled list that is asked for again and again, and drawn anew only when it has changed. */

import { element, showText } from "./dom.js";

/**
 * A section with a title, a list, and a sentence when there is nothing or something is wrong.
 * @template T
 */
export class Listing {
  /**
   * @param {{title: string, text?: string, empty: string, load: () => Promise<T[]>, makeRow: (item: T) => HTMLElement}} parts
   */
  constructor({ title, text, empty, load, makeRow }) {
    this.load = load;
    this.makeRow = makeRow;
    this.empty = empty;
    /** @type {T[]} */
    this.items = [];
    this.print = "";
    this.list = element("ul", { className: "rows" });
    this.note = element("p", { className: "small" });
    this.text = element("p", { className: "small", hidden: true }, text);
    this.node = element("section", { className: "panel" }, element("h2", {}, title), this.text, this.list, this.note);
  }

  async refresh() {
    try {
      const items = await this.load();
      const print = JSON.stringify(items);
      if (print === this.print) return;
      this.print = print;
      this.items = items;
      this.list.replaceChildren(...items.map((item) => this.makeRow(item)));
      this.text.hidden = items.length === 0 || !this.text.textContent;
      showText(this.note, items.length ? null : this.empty);
    } catch (error) {
      this.print = "";
      showText(this.note, error instanceof Error ? error.message : String(error));
    }
  }
}
