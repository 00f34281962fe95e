/** Who is told: a form to add a subscription, and the list of them. */

import { announce } from "./announce.js";
import { listSubscriptions, subscribe, unsubscribe, USUAL_CONFIDENCE } from "./api.js";
import { confirm } from "./confirm.js";
import { element, showText } from "./dom.js";
import { Listing } from "./listing.js";
import { words } from "./words.js";

/** @typedef {import("./api.js").Subscription} Subscription */

export class Subscriptions {
  constructor() {
    this.secret = element("div", { className: "panel secret", hidden: true });
    this.listing = new Listing({
      title: words.subscriptions,
      empty: words.noSubscriptions,
      load: listSubscriptions,
      makeRow: (/** @type {Subscription} */ subscription) => this.makeRow(subscription),
    });
    this.form = makeForm(() => this.add());
    this.node = element("div", {}, this.form.node, this.secret, this.listing.node);
  }

  refresh() {
    return this.listing.refresh();
  }

  /** @param {string} id @returns {string} */
  addressOf(id) {
    return this.listing.items.find((subscription) => subscription.id === id)?.address ?? "";
  }

  async add() {
    showText(this.form.problem, null);
    try {
      const made = await subscribe(this.form.values());
      this.form.clear();
      this.showSecret(made.secret);
      await this.refresh();
    } catch (error) {
      showText(this.form.problem, error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {string | undefined} secret */
  showSecret(secret) {
    this.secret.hidden = !secret;
    if (!secret) return;
    const code = element("code", { className: "secret-code", tabIndex: 0 }, secret);
    this.secret.replaceChildren(
      element("h2", {}, words.secretTitle),
      element("p", { className: "small" }, words.secretText),
      element("div", { className: "row" }, code, makeCopy(code, secret)),
    );
    code.focus();
  }

  /** @param {Subscription} subscription @returns {HTMLElement} */
  makeRow(subscription) {
    const { address, labels, channel } = subscription;
    const about = [
      channel === "mail" ? words.mail : words.webhook,
      labels.length ? labels.join(", ") : words.allImages,
      frequencyWord(subscription.frequency),
      `≥\u00a0${words.percent(subscription.minConfidence)}`,
    ];
    return element(
      "li",
      {},
      element("div", {}, element("strong", {}, address), element("p", { className: "small" }, about.join(" · "))),
      element(
        "button",
        { type: "button", className: "quiet", "aria-label": words.unsubscribe(address), onclick: () => this.remove(subscription) },
        words.remove,
      ),
    );
  }

  /** @param {Subscription} subscription */
  async remove({ id, address }) {
    if (!(await confirm(words.unsubscribeTitle(address), words.unsubscribeText, words.unsubscribeYes))) return;
    await unsubscribe(id).catch((error) => announce(error.message));
    await this.refresh();
  }
}

/** @param {string} frequency @returns {string} */
const frequencyWord = (frequency) => ({ each: words.each, hourly: words.hourly, daily: words.daily })[frequency] ?? frequency;

/** @param {HTMLElement} code @param {string} secret */
function makeCopy(code, secret) {
  const copy = async () => {
    // The clipboard is there on secure pages only; elsewhere the text is at least selected.
    getSelection()?.selectAllChildren(code);
    await navigator.clipboard?.writeText(secret).then(() => (button.textContent = words.copied), () => {});
  };
  const button = element("button", { type: "button", onclick: copy }, words.copy);
  return button;
}

/** @param {() => void} onSubmit */
function makeForm(onSubmit) {
  const channel = makeChoice({ mail: words.mail, webhook: words.webhook });
  const address = element("input", { id: "told-address", required: true, autocomplete: "email", maxLength: 2000 });
  const addressLabel = element("label", { htmlFor: address.id });
  const labels = element("input", { id: "told-labels", autocomplete: "off", "aria-describedby": "told-labels-hint" });
  const frequency = makeChoice({ each: words.each, hourly: words.hourly, daily: words.daily });
  const confidence = element("input", { type: "number", min: 0, max: 100, step: 1, value: USUAL_CONFIDENCE, required: true });
  const problem = element("p", { className: "problem", role: "alert", hidden: true });
  const frequencyField = field(words.frequency, frequency, "told-frequency");

  const follow = () => {
    const isMail = channel.value === "mail";
    addressLabel.textContent = isMail ? words.mailAddress : words.webhookAddress;
    address.type = isMail ? "email" : "url";
    address.placeholder = isMail ? "name@example.org" : "https://example.org/hook";
    frequencyField.hidden = !isMail; // Only mails come as a digest.
  };
  channel.addEventListener("change", follow);
  follow();

  const node = element(
    "form",
    { className: "panel fields", onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), onSubmit()) },
    field(words.channel, channel, "told-channel"),
    element("div", { className: "field wide" }, addressLabel, address),
    element(
      "div",
      { className: "field wide" },
      element("label", { htmlFor: labels.id }, words.onlyLabels),
      labels,
      element("p", { className: "small", id: "told-labels-hint" }, words.onlyLabelsHint),
    ),
    frequencyField,
    field(`${words.minConfidence} (%)`, confidence, "told-confidence"),
    problem,
    element("div", { className: "field all" }, element("button", { className: "primary" }, words.subscribe)),
  );
  const values = () => ({
    channel: channel.value,
    address: address.value.trim(),
    labels: labels.value.split(",").map((/** @type {string} */ name) => name.trim()).filter(Boolean),
    minConfidence: Number(confidence.value),
    frequency: channel.value === "mail" ? frequency.value : "each",
  });
  const clear = () => (address.value = labels.value = "");
  return { node, problem, values, clear };
}

/** @param {Record<string, string>} choices */
const makeChoice = (choices) =>
  element("select", {}, ...Object.entries(choices).map(([value, text]) => element("option", { value }, text)));

/** @param {string} text @param {HTMLElement} control @param {string} id */
function field(text, control, id) {
  control.id = id;
  return element("div", { className: "field" }, element("label", { htmlFor: id }, text), control);
}
