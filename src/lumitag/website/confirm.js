/** Ask before something is done that cannot be undone. */

import { byId } from "./dom.js";

/**
 * Ask, and return whether the reader agreed. Escape means no.
 * @param {string} title
 * @param {string} text
 * @param {string} yes the word on the button that does it
 * @returns {Promise<boolean>}
 */
export function confirm(title, text, yes) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("confirm"));
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
