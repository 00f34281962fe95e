/** One image, large: the picture with its boxes, and everything that is known about it. */

import { announce } from "./announce.js";
import { contentPath, deleteImage, getContent, getImage, thumbnailPath, USUAL_CONFIDENCE } from "./api.js";
import { Boxes } from "./boxes.js";
import { confirm } from "./confirm.js";
import { byId, element, showText } from "./dom.js";
import { LabelList } from "./label_list.js";
import { topNames } from "./labels.js";
import { go, imageAddress } from "./route.js";
import { words } from "./words.js";

const LARGEST_ZOOM = 2;
const ALT_LABELS = 8;

/** @typedef {import("./api.js").ImageRecord} ImageRecord */
/** @typedef {{neighbour: (key: string, step: number) => string | undefined, back: () => string,
 *   onPending: (key: string) => void, onDeleted: (key: string) => void}} Surroundings */

/** Shows one key at a time in #page-image. */
export class ImageView {
  /** @param {Surroundings} surroundings */
  constructor(surroundings) {
    this.surroundings = surroundings;
    this.page = byId("page-image");
    /** @type {string | null} */
    this.key = null;
    /** @type {string | null} */
    this.address = null;
    /** The label whose light stays on. @type {string | null} */
    this.pinned = null;
    this.hasContent = false;
    this.width = 0;
    /** @type {ImageRecord | null} */
    this.record = null;
    this.least = makeLeast(() => this.showLabels());
    this.boxes = new Boxes((label) => this.light(label), (label) => this.pin(label));
    this.list = new LabelList((label) => this.light(label), (label) => this.pin(label));
    this.page.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.onKey(event));
  }

  /** @param {string} key */
  async show(key) {
    this.hide();
    this.key = key;
    this.build(key);
    this.title.focus({ preventScroll: true });
    scrollTo(0, 0);
    await this.load(key);
  }

  /** Look again, if it is the image that is shown. @param {string} key */
  async changed(key) {
    if (key === this.key) await this.load(key);
  }

  /** @param {string} key */
  async load(key) {
    try {
      const record = await getImage(key);
      if (this.key === key) this.update(record);
    } catch (error) {
      if (this.key === key) this.fail(error);
    }
  }

  hide() {
    this.key = null;
    this.hasContent = false;
    this.pinned = null;
    this.record = null;
    this.width = 0;
    this.page.replaceChildren();
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = null;
  }

  /** @param {string} key */
  build(key) {
    this.boxes.show([]);
    this.list.show([]);
    this.title = element("h1", { id: "image-title", tabIndex: -1 });
    this.facts = element("p", { className: "small" });
    this.notice = element("div", { className: "notice", hidden: true });
    this.labelsTitle = element("h2", { hidden: true }, words.labels);
    this.picture = element("img", { className: "large-image", hidden: true });
    this.frame = element("div", { className: "frame" }, this.picture, this.boxes.node);
    this.actions = element("div", { className: "row" });
    const side = element("div", { className: "side" }, this.title, this.facts, this.notice, this.labelsTitle, this.least.node, this.list.node, this.actions);
    const stage = element("div", { className: "stage" }, this.frame);
    this.page.replaceChildren(this.makeBar(key), element("div", { className: "spread" }, stage, side));
    this.picture.addEventListener("load", () => this.fit(this.picture.naturalWidth, this.picture.naturalHeight));
    this.picture.addEventListener("error", () => this.showNoPicture());
  }

  /** @param {string} key */
  makeBar(key) {
    const step = (/** @type {string | undefined} */ to, /** @type {string} */ label, /** @type {string} */ sign) =>
      to ? element("a", { className: "button quiet", href: imageAddress(to), "aria-label": label, title: label }, sign) : null;
    return element(
      "nav",
      { className: "image-bar", "aria-label": words.navigation },
      element("a", { className: "button quiet", href: this.surroundings.back() }, `← ${words.back}`),
      element(
        "span",
        { className: "row" },
        step(this.surroundings.neighbour(key, -1), words.previous, "‹"),
        step(this.surroundings.neighbour(key, 1), words.next, "›"),
      ),
    );
  }

  /** Take in what became of the image that is shown. @param {ImageRecord} record */
  update(record) {
    if (record.key !== this.key) return;
    if (record.status === "pending") this.surroundings.onPending(record.key);
    this.title.textContent = record.fileName;
    document.title = `${record.fileName} · Lumitag`;
    showText(this.facts, factsOf(record));
    this.showNotice(record);
    this.labelsTitle.hidden = this.least.node.hidden = record.labels.length === 0;
    this.record = record;
    this.showLabels();
    this.picture.alt = words.altText(topNames(record.labels, ALT_LABELS), record.fileName);
    this.showActions(record);
    this.showPicture(record);
  }

  /** More is stored than is shown: what a reader wants to see is decided here, not when a model runs. */
  showLabels() {
    const least = this.least.value();
    const isSure = (/** @type {{confidence: number}} */ { confidence }) => confidence >= least;
    const labels = this.record?.labels ?? [];
    const seen = labels.filter(isSure).map((label) => ({ ...label, instances: label.instances.filter(isSure) }));
    this.list.show(seen);
    this.boxes.show(seen);
    this.light(null);
  }

  /** @param {ImageRecord} record */
  showNotice(record) {
    /** @type {Record<string, string>} */
    const titles = { rejected: words.rejectedTitle, failed: words.failedTitle };
    const title = titles[record.status];
    const text = record.status === "pending" ? words.recognizingNow : title ? record.reason : "";
    const empty = record.status === "recognized" && record.labels.length === 0 ? words.noLabels : "";
    this.notice.replaceChildren(...[title && element("strong", {}, title), text || empty].filter(Boolean));
    this.notice.hidden = this.notice.childNodes.length === 0;
  }

  /** @param {ImageRecord} record */
  showActions(record) {
    if (this.actions.childNodes.length > 0) return;
    this.actions.append(
      element("a", { className: "button", href: contentPath(record.key), download: record.fileName }, words.download),
      element("button", { type: "button", className: "danger quiet", onclick: () => this.askToDelete(record) }, words.delete),
    );
  }

  /** The thumbnail is there at once; the whole picture replaces it, in the same frame, when it has arrived. @param {ImageRecord} record */
  async showPicture(record) {
    if (record.width && record.height) this.fit(record.width, record.height);
    if (this.hasContent) return;
    this.hasContent = true;
    if (record.status === "recognized") this.showSource(thumbnailPath(record.key));
    try {
      const content = await getContent(record.key);
      if (this.key !== record.key) return;
      this.address = URL.createObjectURL(content);
      this.showSource(this.address);
    } catch {
      if (this.key === record.key && record.status !== "recognized") this.showNoPicture();
    }
  }

  /** @param {string} source */
  showSource(source) {
    this.picture.hidden = false;
    this.picture.src = source;
  }

  showNoPicture() {
    if (this.address === null && this.hasContent && !this.picture.hidden) return; // Only the thumbnail is missing.
    this.picture.hidden = true;
    this.frame.dataset.nothing = words.noPreview;
  }

  /**
   * Give the frame the shape of the picture, upright as its EXIF orientation says, before it is loaded.
   * A thumbnail has the same shape, but not the same size: only the first and the largest count.
   * @param {number} width pixels
   * @param {number} height pixels
   */
  fit(width, height) {
    if (!width || !height || width < this.width) return;
    this.width = width;
    this.frame.style.setProperty("--ratio", String(width / height));
    this.frame.style.setProperty("--most", `${width * LARGEST_ZOOM}px`);
    this.frame.classList.add("is-fit");
  }

  /** @param {string | null} label */
  light(label) {
    const lit = label ?? this.pinned;
    this.boxes.light(lit);
    this.list.light(lit, this.pinned);
  }

  /** @param {string} label */
  pin(label) {
    this.pinned = this.pinned === label ? null : label;
    this.light(label);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    if (event.target instanceof HTMLInputElement) return; // The arrow keys belong to the slider.
    if (this.key === null || event.altKey || event.ctrlKey || event.metaKey) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const to = step && this.surroundings.neighbour(this.key, step);
    if (event.key === "Escape" && !event.defaultPrevented) go(this.surroundings.back());
    else if (to) go(imageAddress(to));
  }

  /** @param {ImageRecord} record */
  async askToDelete(record) {
    if (!(await confirm(words.deleteTitle(record.fileName), words.deleteText, words.delete))) return;
    try {
      await deleteImage(record.key);
      announce(words.deleted);
      this.surroundings.onDeleted(record.key);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Say that the image is gone, if it is the one that is shown. @param {string} key */
  deleted(key) {
    if (key !== this.key) return;
    announce(words.deletedElsewhere);
    go(this.surroundings.back());
  }

  /** @param {unknown} error */
  fail(error) {
    if (!this.title.textContent) this.title.textContent = words.notFoundTitle;
    showText(this.notice, error instanceof Error ? error.message : String(error));
  }
}

/** @param {() => void} onChange */
function makeLeast(onChange) {
  const shown = element("output", { htmlFor: "least" });
  const slider = element("input", { id: "least", type: "range", min: 30, max: 95, step: 5, value: USUAL_CONFIDENCE });
  const value = () => Number(slider.value);
  const show = () => (shown.textContent = slider.ariaValueText = words.percent(value()));
  slider.addEventListener("input", () => (show(), onChange()));
  show();
  const node = element("div", { className: "least", hidden: true }, element("label", { htmlFor: "least" }, words.least), slider, shown);
  return { node, value };
}

/** @param {ImageRecord} record @returns {string} */
function factsOf(record) {
  const facts = [
    record.width && record.height ? words.pixels(record.width, record.height) : "",
    words.size(record.size),
    words.time(record.uploadTime),
    record.modelVersion ? words.recognizedBy(record.modelVersion) : "",
  ];
  return facts.filter(Boolean).join(" · ");
}
