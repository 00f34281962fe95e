/** One file in the queue: its name, its state in words, its progress, and what can be done about it. */

import { element, showText } from "./dom.js";
import { words } from "./words.js";

/**
 * Make the row of an item of the queue. `update` shows its present state.
 * @param {import("./queue.js").Item} item
 * @param {{retry: () => void, remove: () => void}} actions
 * @returns {{node: HTMLElement, update: () => void}}
 */
export function makeRow(item, actions) {
  const name = item.file.name;
  const state = element("span", { className: "queue-state" });
  const bar = element("progress", { max: 1, value: 0, "aria-label": words.progressOf(name) });
  const retry = button(words.retry, words.retryOne(name), actions.retry);
  const remove = button(words.cancel, words.cancelOne(name), actions.remove);
  const title = element("span", { className: "queue-name", title: name }, name);
  const node = element("li", { className: "queue-row" }, title, state, bar, element("span", { className: "row" }, retry, remove));

  const update = () => {
    const failed = item.state === "failed";
    node.classList.toggle("is-failed", failed);
    showText(state, failed ? item.problem : item.state === "uploading" ? stateOf(item.progress) : words.waiting);
    bar.hidden = item.state !== "uploading";
    bar.value = item.progress;
    retry.hidden = !failed || item.isFinal;
    remove.textContent = failed ? words.remove : words.cancel;
    remove.setAttribute("aria-label", failed ? words.removeOne(name) : words.cancelOne(name));
  };
  return { node, update };
}

/** @param {number} progress */
const stateOf = (progress) => (progress > 0 ? `${words.uploading} ${words.percent(progress * 100)}` : words.checking);

/** @param {string} text @param {string} label @param {() => void} onclick */
const button = (text, label, onclick) =>
  element("button", { type: "button", className: "quiet", "aria-label": label, onclick }, text);
