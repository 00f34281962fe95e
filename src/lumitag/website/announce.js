/** What a screen reader is told while it looks elsewhere: one polite region, one sentence at a time. */

import { byId } from "./dom.js";

const PAUSE_MS = 700;

/** @type {string[]} */
let waiting = [];
let timer = 0;

/**
 * Say something politely. Sentences that come close together are said together.
 * @param {string} sentence
 */
export function announce(sentence) {
  waiting.push(sentence);
  clearTimeout(timer);
  timer = window.setTimeout(speak, PAUSE_MS);
}

function speak() {
  byId("announcer").textContent = waiting.join(" ");
  waiting = [];
}
