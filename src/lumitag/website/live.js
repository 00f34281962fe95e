/** What changes while the page is open: server-sent events, and polling of what is pending whenever they fail. */

import { ApiError, getImage, USUAL_CONFIDENCE } from "./api.js";

const POLL_MS = 2000;
const SAFETY_POLL_MS = 15000;
const RECONNECT_MS = 10000;
const POLLED_AT_ONCE = 8;
const HIDDEN_MS = 30000;

/** @typedef {import("./api.js").ImageRecord} ImageRecord */

/**
 * Keeps the page up to date. `image` and `deleted` are told of, whichever way they are heard;
 * `reset` when something may have happened that nobody told.
 */
export class Live {
  /**
   * @param {{image: (record: ImageRecord) => void, deleted: (key: string) => void,
   *   state: (isLive: boolean) => void, reset: () => void}} listener
   */
  constructor(listener) {
    this.listener = listener;
    /** Keys whose end is awaited, oldest first. @type {Set<string>} */
    this.pending = new Set();
    this.isLive = false;
    this.polledAt = 0;
    this.isPolling = false;
    /** @type {EventSource | null} */
    this.source = null;
    this.isFirst = true;
    this.leaving = 0;
  }

  start() {
    this.connect();
    setInterval(() => this.tick(), POLL_MS);
    document.addEventListener("visibilitychange", () => this.onVisibility());
  }

  /** A browser has six connections for all pages of a server: one that nobody looks at gives its own back. */
  onVisibility() {
    clearTimeout(this.leaving);
    if (!document.hidden) this.connect();
    else this.leaving = window.setTimeout(() => this.pending.size === 0 && this.disconnect(), HIDDEN_MS);
  }

  disconnect() {
    this.source?.close();
    this.source = null;
  }

  connect() {
    if (this.source) return;
    const source = new EventSource("events");
    this.source = source;
    let isNew = !this.isFirst; // When the browser reconnects by itself, the server tells what was missed.
    this.isFirst = false;
    source.onopen = () => {
      this.setLive(true);
      if (isNew) this.listener.reset();
      isNew = false;
    };
    source.onerror = () => {
      this.setLive(false);
      if (source.readyState !== EventSource.CLOSED) return;
      this.disconnect();
      setTimeout(() => document.hidden || this.connect(), RECONNECT_MS);
    };
    source.addEventListener("image", (event) => this.hear(JSON.parse(event.data)));
    source.addEventListener("reset", () => this.listener.reset());
    source.addEventListener("deleted", (event) => this.forget(JSON.parse(event.data).key));
  }

  /** @param {string} key */
  watch(key) {
    this.pending.add(key);
  }

  /** @param {ImageRecord} record */
  hear(record) {
    if (record.status !== "pending") this.pending.delete(record.key);
    this.listener.image(record);
  }

  /** @param {string} key */
  forget(key) {
    this.pending.delete(key);
    this.listener.deleted(key);
  }

  /** @param {boolean} isLive */
  setLive(isLive) {
    this.isLive = isLive;
    this.listener.state(isLive);
  }

  /** Even a live connection is not trusted alone: what is pending for long is asked for now and then. */
  async tick() {
    const pauseMs = this.isLive ? SAFETY_POLL_MS : POLL_MS;
    if (this.isPolling || document.hidden || Date.now() - this.polledAt < pauseMs - 100) return;
    this.isPolling = true;
    this.polledAt = Date.now();
    await Promise.all([...this.pending].slice(0, POLLED_AT_ONCE).map((key) => this.poll(key)));
    this.isPolling = false;
  }

  /** @param {string} key */
  async poll(key) {
    try {
      const record = await getImage(key, USUAL_CONFIDENCE);
      if (record.status === "pending") this.toTheEnd(key);
      else this.hear(record);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) this.forget(key);
    }
  }

  /** So that a few stuck images do not keep the others from being asked for. @param {string} key */
  toTheEnd(key) {
    this.pending.delete(key);
    this.pending.add(key);
  }
}
