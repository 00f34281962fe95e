/** Puts the parts of the page together: this is the only module that knows all of them. */

import { announce } from "./announce.js";
import { byId, showText, writeWords } from "./dom.js";
import { Gallery } from "./gallery.js";
import { ImageView } from "./image_view.js";
import { makeExampleTag, topNames } from "./labels.js";
import { Live } from "./live.js";
import { keepPreview } from "./previews.js";
import { UploadQueue } from "./queue.js";
import { followRoute } from "./route.js";
import { Search } from "./search.js";
import { openSession } from "./session.js";
import { Told } from "./told.js";
import { openTray } from "./tray.js";
import { words } from "./words.js";

/** @typedef {import("./api.js").ImageRecord} ImageRecord */

const ANNOUNCED_ONE_BY_ONE = 3;
const ANNOUNCE_PAUSE_MS = 1200;

/** Images that this reader uploaded and has not heard the end of. @type {Set<string>} */
const awaited = new Set();
/** @type {ImageRecord[]} */
let ended = [];
let speaking = 0;
let shownPage = "";
let galleryAddress = "#/";
let galleryScroll = 0;
let isStarted = false;

const live = new Live({ image: onImage, deleted: onDeleted, state: onLiveState, reset: () => gallery.refresh() });
const gallery = new Gallery((key) => live.watch(key));
const view = new ImageView({
  neighbour: (key, step) => gallery.neighbour(key, step),
  back: () => galleryAddress,
  onPending: (key) => live.watch(key),
  onDeleted,
});
const told = new Told();
const search = new Search();
const queue = new UploadQueue(onUploaded);

/** @param {string} key @param {string} contentType @param {File} file */
function onUploaded(key, contentType, file) {
  awaited.add(key);
  const known = gallery.cards.get(key)?.record;
  if (known && known.status !== "pending") {
    onImage(known); // It was recognized before its upload had been answered.
    return;
  }
  keepPreview(key, file);
  live.watch(key);
  gallery.put({
    key,
    contentType,
    fileName: file.name,
    size: file.size,
    sha256: null,
    width: null,
    height: null,
    status: "pending",
    reason: null,
    labels: [],
    recognizer: null,
    modelVersion: null,
    uploadTime: new Date().toISOString(),
    recognizedTime: null,
  });
}

/** @param {ImageRecord} record */
function onImage(record) {
  gallery.put(record);
  view.changed(record.key);
  if (record.status === "pending" || !awaited.delete(record.key)) return;
  ended.push(record);
  clearTimeout(speaking);
  speaking = window.setTimeout(sayWhatEnded, ANNOUNCE_PAUSE_MS);
}

/** @param {string} key */
function onDeleted(key) {
  awaited.delete(key);
  gallery.remove(key);
  view.deleted(key);
}

/** @param {boolean} isLive */
function onLiveState(isLive) {
  showText(byId("live-state"), isLive ? null : words.notLive);
}

function sayWhatEnded() {
  const records = ended;
  ended = [];
  if (records.length > ANNOUNCED_ONE_BY_ONE) announce(words.recognizedMany(records.length));
  else records.forEach((record) => announce(sentenceAbout(record)));
}

/** @param {ImageRecord} record @returns {string} */
function sentenceAbout(record) {
  if (record.status === "recognized") return words.recognizedOne(record.fileName, topNames(record.labels, 3));
  return words.endedOne(record.fileName, record.reason ?? words.statusOf(record.status));
}

/** @param {import("./route.js").Route} route */
function showRoute(route) {
  const before = shownPage;
  const leftKey = view.key;
  if (before === "gallery") galleryScroll = scrollY;
  if (route.page !== "image") view.hide();
  if (route.page !== "told") told.hide();
  showPage(route.page);
  if (route.page === "gallery") showGallery(route, before, leftKey);
  else if (route.page === "image") view.show(route.key);
  else told.show();
}

/** @param {{labels: string[], status: string}} route @param {string} before @param {string | null} leftKey */
function showGallery({ labels, status }, before, leftKey) {
  const hasMoved = galleryAddress !== (location.hash || "#/");
  galleryAddress = location.hash || "#/";
  document.title = labels.length ? `${labels.join(", ")} · Lumitag` : "Lumitag";
  search.show(labels);
  gallery.show({ labels, status });
  if (before === "") return;
  scrollTo(0, hasMoved ? 0 : galleryScroll);
  const card = leftKey && gallery.cards.get(leftKey);
  if (card) card.link.focus({ preventScroll: true });
  else if (before !== "gallery") byId("gallery-title").focus({ preventScroll: true });
}

/** @param {string} page */
function showPage(page) {
  shownPage = page;
  for (const section of document.querySelectorAll(".page")) {
    /** @type {HTMLElement} */ (section).hidden = section.id !== `page-${page}`;
  }
  for (const link of document.querySelectorAll("#nav a")) {
    if (/** @type {HTMLElement} */ (link).dataset.page === page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const isSignedIn = page !== "session";
  byId("search").hidden = !isSignedIn;
  byId("nav").hidden = !isSignedIn;
}

function askForToken() {
  if (shownPage === "session") return;
  showPage("session");
  byId("token").focus();
}

function start() {
  if (isStarted) {
    location.reload(); // Signed in again in the middle: what failed meanwhile is asked for anew.
    return;
  }
  isStarted = true;
  live.start();
  followRoute(showRoute);
}

writeWords();
byId("lesson-tags").append(...words.exampleLabels.map((name) => makeExampleTag(name, 95)));
history.scrollRestoration = "manual";
byId("skip").addEventListener("click", (/** @type {Event} */ event) => {
  event.preventDefault(); // The fragment of the address belongs to the route.
  byId("main").focus();
});
openTray((sources) => queue.add(sources), () => shownPage === "gallery" || shownPage === "image");
openSession({ ask: askForToken, onReady: start });
