/** The pictures that the address asks for, newest first, a page at a time, kept up to date. */

import { listImages } from "./api.js";
import { Card } from "./card.js";
import { byId, showText } from "./dom.js";
import { words } from "./words.js";

const PAGE_SIZE = 40;
const LARGEST_PAGE = 1000;
const LOAD_AHEAD = "800px";

/** @typedef {import("./api.js").ImageRecord} ImageRecord */
/** @typedef {{labels: string[], status: string}} Query */

/** Shows one query at a time. `onPending` hears of every image whose end is still awaited. */
export class Gallery {
  /** @param {(key: string) => void} onPending */
  constructor(onPending) {
    this.onPending = onPending;
    /** @type {Map<string, Card>} */
    this.cards = new Map();
    /** @type {Query} */
    this.query = { labels: [], status: "" };
    this.isStale = true;
    this.turn = 0; // Answers to an earlier query are dropped.
    this.isComplete = false;
    this.isLoading = false;
    /** @type {string | null} */
    this.cursor = null;
    byId("more-button").addEventListener("click", () => this.loadMore());
    const watcher = new IntersectionObserver(([entry]) => entry.isIntersecting && this.loadMore(), { rootMargin: LOAD_AHEAD });
    watcher.observe(byId("more"));
  }

  /** @param {Query} query */
  async show(query) {
    if (!this.isStale && JSON.stringify(query) === JSON.stringify(this.query)) return;
    this.query = query;
    await this.reload();
  }

  /** Look again at what is shown, without disturbing the reader. */
  async refresh() {
    const { turn } = this;
    if (this.isStale) return;
    const limit = Math.min(LARGEST_PAGE, Math.max(PAGE_SIZE, this.cards.size));
    const page = await listImages(this.query, null, limit).catch(() => null);
    if (!page || turn !== this.turn) return;
    const keys = new Set(page.images.map((record) => record.key));
    const known = [...this.cards.keys()];
    if (page.nextCursor && !known.some((key) => keys.has(key))) {
      await this.reload(); // So much is new that a gap would stay.
      return;
    }
    const oldest = page.nextCursor ? page.images[page.images.length - 1].key : "";
    known.filter((key) => key >= oldest && !keys.has(key)).forEach((key) => this.remove(key));
    page.images.forEach((record) => this.place(record));
    this.draw("");
  }

  async reload() {
    this.isStale = false;
    this.turn += 1;
    for (const card of this.cards.values()) card.node.remove();
    this.cards.clear();
    this.cursor = null;
    this.isComplete = false;
    this.isLoading = false;
    await this.load();
  }

  async loadMore() {
    if (this.cursor !== null) await this.load();
  }

  async load() {
    if (this.isLoading) return;
    const turn = this.turn;
    this.isLoading = true;
    try {
      const page = await listImages(this.query, this.cursor, PAGE_SIZE);
      if (turn !== this.turn) return;
      this.cursor = page.nextCursor;
      this.isComplete = page.nextCursor === null;
      page.images.forEach((record) => this.place(record));
      this.draw("");
    } catch (error) {
      if (turn === this.turn) this.draw(error instanceof Error ? error.message : String(error));
    } finally {
      if (turn === this.turn) this.isLoading = false;
    }
    if (turn === this.turn) this.fillScreen();
  }

  /** The watcher only tells of changes: while the end stays in sight, go on. */
  fillScreen() {
    const { top } = byId("more").getBoundingClientRect();
    const isShown = byId("page-gallery").hidden === false;
    if (this.cursor !== null && isShown && top < innerHeight && byId("gallery-notice").hidden) this.loadMore();
  }

  /**
   * Take in what became of an image, whether it is shown already or not.
   * @param {ImageRecord} record
   */
  put(record) {
    if (this.cards.has(record.key) || this.isInReach(record.key)) {
      if (matches(record, this.query)) this.place(record);
      else this.remove(record.key);
    }
    this.draw(byId("gallery-notice").hidden || this.cards.size ? "" : null);
  }

  /** @param {string} key */
  remove(key) {
    this.cards.get(key)?.remove();
    this.cards.delete(key);
    this.draw("");
  }

  /** Whether an image belongs among the loaded ones and not behind the last of them. @param {string} key */
  isInReach(key) {
    const last = /** @type {HTMLElement | null} */ (byId("cards").lastElementChild);
    return this.isComplete || (last !== null && key > (last.dataset.key ?? ""));
  }

  /** @param {ImageRecord} record */
  place(record) {
    if (record.status === "pending") this.onPending(record.key);
    const known = this.cards.get(record.key);
    if (known) {
      // A page of the listing may be older than what was heard live: what has ended does not wait again.
      if (record.status !== "pending" || known.record.status === "pending") known.show(record);
      return;
    }
    const card = new Card(record);
    const list = byId("cards");
    // Keys are ordered by time, and new ones come first: the place is almost always the very first or the very last.
    const last = list.lastElementChild;
    const after = last && last.dataset.key > record.key ? null : [...list.children].find((node) => node.dataset.key < record.key);
    list.insertBefore(card.node, after ?? null);
    this.cards.set(record.key, card);
  }

  /** @param {string} key @param {number} step @returns {string | undefined} the key of a neighbour */
  neighbour(key, step) {
    const node = this.cards.get(key)?.node;
    const beside = step < 0 ? node?.previousElementSibling : node?.nextElementSibling;
    return beside?.dataset.key;
  }

  /** @param {string | null} problem what went wrong; null leaves the notice as it is */
  draw(problem) {
    const hasQuery = this.query.labels.length > 0 || this.query.status !== "";
    const isEmpty = this.cards.size === 0 && this.isComplete;
    byId("lesson").hidden = !isEmpty || hasQuery;
    byId("tray").classList.toggle("is-empty", isEmpty && !hasQuery);
    byId("tray").hidden = hasQuery;
    byId("query").hidden = !hasQuery;
    showText(byId("query-text"), words.queryText(this.query.labels, this.query.status));
    byId("more-button").hidden = this.cursor === null;
    if (problem === null) return;
    const nothing = this.query.labels.length ? words.nothingFound : words.nothingWithStatus;
    showText(byId("gallery-notice"), problem || (isEmpty && hasQuery ? nothing : null));
  }
}

/** @param {ImageRecord} record @param {Query} query @returns {boolean} */
function matches(record, { labels, status }) {
  if (status && record.status !== status) return false;
  const names = new Set(record.labels.flatMap((label) => [label.name, ...label.aliases]).map((name) => name.toLowerCase()));
  return labels.every((label) => names.has(label.toLowerCase()));
}
