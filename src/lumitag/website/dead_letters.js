/** What failed for good, why, and another chance for it. */

import { announce } from "./announce.js";
import { listDeadLetters, redrive } from "./api.js";
import { element } from "./dom.js";
import { Listing } from "./listing.js";
import { imageAddress } from "./route.js";
import { words } from "./words.js";

/** @typedef {import("./api.js").DeadLetter} DeadLetter */

export class DeadLetters {
  constructor() {
    this.listing = new Listing({
      title: words.deadLetters,
      text: words.deadLettersText,
      empty: words.deadLettersEmpty,
      load: listDeadLetters,
      makeRow: (/** @type {DeadLetter} */ letter) => this.makeRow(letter),
    });
    this.all = element("button", { type: "button", hidden: true, onclick: () => this.redrive(null) }, words.redriveAll);
    this.node = this.listing.node;
    this.node.append(this.all);
  }

  async refresh() {
    await this.listing.refresh();
    this.all.hidden = this.listing.items.length < 2;
  }

  /** @param {DeadLetter} letter @returns {HTMLElement} */
  makeRow(letter) {
    const about = [letter.queue, words.tried(letter.receiveCount), words.deadSince(words.time(letter.deadTime))];
    return element(
      "li",
      {},
      element(
        "div",
        {},
        element("a", { href: imageAddress(letter.key) }, letter.key),
        element("p", {}, letter.reason),
        element("p", { className: "small" }, about.join(" · ")),
      ),
      element(
        "button",
        { type: "button", "aria-label": words.redriveOne(letter.key), onclick: () => this.redrive([letter.id]) },
        words.redrive,
      ),
    );
  }

  /** @param {string[] | null} ids */
  async redrive(ids) {
    try {
      await redrive(ids);
      announce(words.redriven);
    } catch (error) {
      announce(error instanceof Error ? error.message : String(error));
    }
    await this.refresh();
  }
}
