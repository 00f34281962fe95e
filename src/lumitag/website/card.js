/** One picture in the gallery. */

import { thumbnailPath } from "./api.js";
import { element } from "./dom.js";
import { makeTag, specificFirst, topNames } from "./labels.js";
import { dropPreview, previewOf } from "./previews.js";
import { imageAddress } from "./route.js";
import { words } from "./words.js";

const SHOWN_TAGS = 3;

/** @typedef {import("./api.js").ImageRecord} ImageRecord */

/** A card shows the record it was given last. */
export class Card {
  /** @param {ImageRecord} record */
  constructor(record) {
    this.key = record.key;
    this.source = "";
    this.record = record;
    this.picture = element("img", { className: "card-image", loading: "lazy", decoding: "async" });
    this.picture.addEventListener("load", () => this.loaded());
    this.picture.addEventListener("error", () => this.node.classList.add("is-bare"));
    this.name = element("span", { className: "card-name" });
    this.link = element("a", { className: "card-link", href: imageAddress(record.key) }, this.picture, this.name);
    this.below = element("div", { className: "card-below" });
    this.node = element("li", { className: "card" }, this.link, this.below);
    this.node.dataset.key = record.key;
    this.show(record);
  }

  /** @param {ImageRecord} record */
  show(record) {
    this.record = record;
    this.node.dataset.status = record.status;
    this.name.textContent = record.fileName;
    this.showPicture(record);
    this.below.replaceChildren(...this.wordsBelow(record));
  }

  /** @param {ImageRecord} record */
  showPicture(record) {
    const isPending = record.status === "pending";
    const names = topNames(record.labels, SHOWN_TAGS);
    this.picture.alt = isPending ? words.recognizing(record.fileName) : words.altText(names, record.fileName);
    const local = previewOf(record.key);
    const source = isPending && local ? local : thumbnailPath(record.key);
    // A pending picture of somebody else has no thumbnail yet, a rejected one never will.
    const hasPicture = record.status === "recognized" || record.status === "failed" || Boolean(isPending && local);
    this.node.classList.toggle("is-bare", !hasPicture);
    if (hasPicture && this.source !== source) this.picture.src = this.source = source;
  }

  /** @param {ImageRecord} record @returns {Node[]} */
  wordsBelow(record) {
    if (record.status === "pending") return [element("p", { className: "card-state is-pending" }, words.statusOf("pending"))];
    if (record.status !== "recognized") {
      return [element("p", { className: "card-state is-problem" }, record.reason ?? words.statusOf(record.status))];
    }
    if (record.labels.length === 0) return [element("p", { className: "card-state" }, words.noLabels)];
    return specificFirst(record.labels).slice(0, SHOWN_TAGS).map(makeTag);
  }

  loaded() {
    this.node.classList.remove("is-bare");
    if (this.source === thumbnailPath(this.key)) dropPreview(this.key);
  }

  remove() {
    dropPreview(this.key);
    this.node.remove();
  }
}
