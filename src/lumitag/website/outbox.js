/** What waits to be told: the images and whom they wait for. */

import { listOutbox } from "./api.js";
import { element } from "./dom.js";
import { Listing } from "./listing.js";
import { imageAddress } from "./route.js";
import { words } from "./words.js";

const SHOWN = 20;

export class Outbox {
  /** @param {{addressOf: (id: string) => string}} subscriptions */
  constructor(subscriptions) {
    this.subscriptions = subscriptions;
    this.listing = new Listing({
      title: words.outbox,
      empty: words.outboxEmpty,
      load: () => listOutbox(SHOWN),
      makeRow: (notification) => this.makeRow(notification),
    });
    this.node = this.listing.node;
  }

  refresh() {
    return this.listing.refresh();
  }

  /** @param {import("./api.js").Notification} notification @returns {HTMLElement} */
  makeRow({ key, fileName, subscriptionId, attempts, dueTime, reason }) {
    const tries = attempts ? [words.tried(attempts), words.nextTry(words.time(dueTime))] : [];
    const about = [this.subscriptions.addressOf(subscriptionId), ...tries, reason];
    return element(
      "li",
      {},
      element(
        "div",
        {},
        element("a", { href: imageAddress(key) }, fileName),
        element("p", { className: "small" }, about.filter(Boolean).join(" · ")),
      ),
    );
  }
}
