/** Many uploads, a few at a time, and what a reader sees of them. The rows stand in queue_row.js. */

import { announce } from "./announce.js";
import { byId, showText } from "./dom.js";
import { makeRow } from "./queue_row.js";
import { FileRefused, uploadFile } from "./upload.js";
import { words } from "./words.js";

const PARALLEL_UPLOADS = 4;
const SHOWN_WAITING = 3;
const QUIET_MS = 4000;

/**
 * @typedef {"waiting" | "uploading" | "done" | "failed"} State
 * @typedef {{file: File, fromFolder: boolean, state: State, progress: number, problem: string,
 *   isFinal: boolean, stop: AbortController, row: ReturnType<typeof makeRow> | null}} Item
 * @typedef {import("./files.js").Source} Source
 */

/** Uploads what it is given and tells `onUploaded` about each image that arrived. */
export class UploadQueue {
  /** @param {(key: string, contentType: string, file: File) => void} onUploaded */
  constructor(onUploaded) {
    this.onUploaded = onUploaded;
    /** @type {Item[]} */
    this.items = [];
    this.done = 0;
    this.leftOut = 0;
    this.running = 0;
    this.drawn = 0;
    this.closing = 0;
    byId("queue-retry").addEventListener("click", () => this.items.forEach((item) => this.retry(item)));
    byId("queue-clear").addEventListener("click", () => this.clear());
    window.addEventListener("beforeunload", (event) => this.isBusy && event.preventDefault());
  }

  get isBusy() {
    return this.items.some((item) => item.state === "waiting" || item.state === "uploading");
  }

  /** @param {Source[]} sources */
  add(sources) {
    if (sources.length === 0) return;
    if (!this.isBusy) this.startAnew();
    for (const { file, fromFolder } of sources) {
      const stop = new AbortController();
      this.items.push({ file, fromFolder, state: "waiting", progress: 0, problem: "", isFinal: false, stop, row: null });
    }
    announce(words.uploadStarted(sources.length));
    this.advance();
  }

  /** @param {Item} item */
  retry(item) {
    if (item.state !== "failed" || item.isFinal) return;
    Object.assign(item, { state: "waiting", progress: 0, problem: "", stop: new AbortController() });
    this.advance();
  }

  /** @param {Item} item */
  remove(item) {
    item.stop.abort();
    this.items = this.items.filter((other) => other !== item);
    this.draw();
  }

  clear() {
    this.items = this.items.filter((item) => item.state !== "failed");
    this.draw();
    byId("choose").focus();
  }

  /** What failed before stays in the list until it is retried or removed; what was counted is forgotten. */
  startAnew() {
    this.done = 0;
    this.leftOut = 0;
  }

  advance() {
    while (this.running < PARALLEL_UPLOADS) {
      const next = this.items.find((item) => item.state === "waiting");
      if (!next) break;
      this.run(next);
    }
    this.draw();
  }

  /** @param {Item} item */
  async run(item) {
    item.state = "uploading";
    this.running += 1;
    try {
      const { key, contentType } = await uploadFile(item.file, (ratio) => this.progress(item, ratio), item.stop.signal);
      item.state = "done";
      this.done += 1;
      this.items = this.items.filter((other) => other !== item);
      this.onUploaded(key, contentType, item.file);
    } catch (error) {
      this.fail(item, error);
    }
    this.running -= 1;
    this.advance();
    if (!this.isBusy) this.end();
  }

  /** @param {Item} item @param {unknown} error */
  fail(item, error) {
    if (item.stop.signal.aborted) return;
    item.state = "failed";
    item.problem = error instanceof Error ? error.message : String(error);
    item.isFinal = error instanceof FileRefused; // The same file is refused again.
    if (item.fromFolder && error instanceof FileRefused && !error.isImage) {
      this.leftOut += 1;
      this.items = this.items.filter((other) => other !== item);
    }
  }

  end() {
    const failed = this.items.length;
    if (this.done + failed > 0) announce(words.uploadEnded(this.done, failed));
    clearTimeout(this.closing);
    this.closing = window.setTimeout(() => this.draw(), QUIET_MS + 100);
    this.endedAt = Date.now();
  }

  /** @param {Item} item @param {number} ratio */
  progress(item, ratio) {
    item.progress = ratio;
    this.draw();
  }

  /** Draw at most once a frame, however fast progress comes. */
  draw() {
    if (this.drawn) return;
    this.drawn = window.setTimeout(() => {
      this.drawn = 0;
      this.drawNow();
    }, 30);
  }

  drawNow() {
    const failed = this.items.filter((item) => item.state === "failed");
    const running = this.items.filter((item) => item.state === "uploading");
    const waiting = this.items.filter((item) => item.state === "waiting");
    const total = this.done + this.items.length;
    byId("queue").hidden = !this.isShown(total);
    byId("queue-retry").hidden = failed.filter((item) => !item.isFinal).length < 2;
    byId("queue-clear").hidden = failed.length === 0;
    const count = { done: this.done, total, failed: failed.length, leftOut: this.leftOut };
    showText(byId("queue-summary"), words.queueSummary(count));
    const bar = byId("queue-progress");
    bar.hidden = !this.isBusy;
    bar.max = total || 1;
    bar.value = this.done + running.reduce((sum, item) => sum + item.progress, 0);
    this.drawRows([...running, ...failed, ...waiting.slice(0, SHOWN_WAITING)], waiting.length - SHOWN_WAITING);
  }

  /** @param {number} total */
  isShown(total) {
    if (this.items.length > 0) return true;
    const isFresh = this.endedAt !== undefined && Date.now() - this.endedAt < QUIET_MS;
    return isFresh && total + this.leftOut > 0;
  }

  /** @param {Item[]} shown @param {number} hidden */
  drawRows(shown, hidden) {
    const list = byId("queue-rows");
    for (const item of shown) {
      item.row ??= makeRow(item, { retry: () => this.retry(item), remove: () => this.remove(item) });
      item.row.update();
    }
    const nodes = shown.map((item) => /** @type {NonNullable<Item["row"]>} */ (item.row).node);
    if (nodes.length !== list.children.length || nodes.some((node, index) => list.children[index] !== node)) {
      keepFocus(list, () => list.replaceChildren(...nodes));
    }
    list.dataset.more = hidden > 0 ? words.andWaiting(hidden) : "";
  }
}

/** Rebuilding a list would drop the focus of a button that stays in it. @param {HTMLElement} list @param {() => void} change */
function keepFocus(list, change) {
  const focused = /** @type {HTMLElement | null} */ (list.contains(document.activeElement) ? document.activeElement : null);
  change();
  if (focused && list.contains(focused)) focused.focus({ preventScroll: true });
  else if (focused) byId("choose").focus({ preventScroll: true });
}
