/** The ways in: drop anywhere, paste anywhere, the two buttons. */

import { byId } from "./dom.js";
import { carriesFiles, chosenFiles, filesOf } from "./files.js";

/**
 * Hand every file that a reader drops, pastes or chooses to `add`.
 * @param {(sources: import("./files.js").Source[]) => void} add
 * @param {() => boolean} isOpen whether uploads are welcome now
 */
export function openTray(add, isOpen) {
  connectButton("choose", "files", false, add);
  connectButton("choose-folder", "folder", true, add);
  document.addEventListener("paste", async (event) => {
    if (!isOpen() || !carriesFiles(event.clipboardData)) return;
    event.preventDefault();
    add(await filesOf(/** @type {DataTransfer} */ (event.clipboardData)));
  });
  connectDrop(add, isOpen);
}

/** @param {string} button @param {string} input @param {boolean} folder @param {(sources: any[]) => void} add */
function connectButton(button, input, folder, add) {
  const chooser = /** @type {HTMLInputElement} */ (byId(input));
  byId(button).addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => add(chosenFiles(chooser, folder)));
}

/** @param {(sources: any[]) => void} add @param {() => boolean} isOpen */
function connectDrop(add, isOpen) {
  const veil = byId("veil");
  let depth = 0; // Entering a child fires before leaving its parent: only the count knows when the page is left.
  const enter = (/** @type {number} */ step) => {
    depth = Math.max(0, depth + step);
    veil.hidden = depth === 0 || !isOpen();
  };
  const hear = (/** @type {string} */ type, /** @type {(event: DragEvent) => void} */ react) =>
    document.addEventListener(type, (event) => {
      const drag = /** @type {DragEvent} */ (event);
      if (!carriesFiles(drag.dataTransfer)) return;
      drag.preventDefault();
      react(drag);
    });
  hear("dragenter", () => enter(1));
  hear("dragleave", () => enter(-1));
  hear("dragover", (event) => {
    if (event.dataTransfer) event.dataTransfer.dropEffect = isOpen() ? "copy" : "none";
  });
  hear("drop", async (event) => {
    depth = 0;
    enter(0);
    if (isOpen()) add(await filesOf(/** @type {DataTransfer} */ (event.dataTransfer)));
  });
}
