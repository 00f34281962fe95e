/** "Be told": who is told about which images, what still waits to be told, and what failed for good. */

import { byId, element } from "./dom.js";
import { DeadLetters } from "./dead_letters.js";
import { Outbox } from "./outbox.js";
import { Subscriptions } from "./subscriptions.js";
import { words } from "./words.js";

const REFRESH_MS = 5000;

/** Shows itself in #page-told and stays up to date while it is open. */
export class Told {
  constructor() {
    this.page = byId("page-told");
    this.timer = 0;
  }

  show() {
    const subscriptions = new Subscriptions();
    const parts = [subscriptions, new Outbox(subscriptions), new DeadLetters()];
    this.title = element("h1", { id: "told-title", tabIndex: -1 }, words.told);
    this.page.replaceChildren(this.title, element("p", { className: "lead" }, words.toldText), ...parts.map((part) => part.node));
    document.title = `${words.told} · Lumitag`;
    this.title.focus({ preventScroll: true });
    scrollTo(0, 0);
    this.refresh(parts);
    this.timer = window.setInterval(() => document.hidden || this.refresh(parts), REFRESH_MS);
  }

  hide() {
    clearInterval(this.timer);
    this.page.replaceChildren();
  }

  /** One after the other: the outbox names the subscribers. @param {{refresh: () => Promise<void>}[]} parts */
  async refresh(parts) {
    for (const part of parts) await part.refresh();
  }
}
