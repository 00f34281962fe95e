/** Every word that a reader of the page sees. One place, so that it can be translated in one place. */

const number = new Intl.NumberFormat("en");
const percentFormat = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 0 });
const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const both = new Intl.ListFormat("en", { type: "conjunction" });

/** @param {number} count @param {string} one @param {string} many */
const counted = (count, one, many) => `${number.format(count)} ${count === 1 ? one : many}`;
/** @param {number} count */
const images = (count) => counted(count, "image", "images");

export const words = {
  skip: "Skip to the images",
  navigation: "Pages",
  gallery: "Images",
  told: "Be told",
  notFoundTitle: "There is nothing here",

  // Uploading
  emptyTitle: "Drop an image here",
  emptyText:
    "Anywhere on this page, or paste it, or choose it. What it shows is written below it, so that typing “Boat” finds it again.",
  exampleLabels: ["Boat", "Kite"],
  trayHint: "Drop images anywhere on this page, paste them, or choose them.",
  trayTypes: "JPEG, PNG, WebP or GIF",
  choose: "Choose images",
  chooseFolder: "Choose a folder",
  dropNow: "Let go to upload",
  queue: "Uploads",
  progressAll: "All uploads",
  retryAll: "Retry all",
  clearFailed: "Clear",
  retry: "Retry",
  remove: "Remove",
  cancel: "Cancel",
  waiting: "waiting",
  checking: "checking",
  uploading: "uploading",
  notAnImage: "The file is not a JPEG, PNG, WebP or GIF image.",
  emptyFile: "The file is empty.",
  unreadableFile: "The file cannot be read. It may have been moved or changed.",
  unreachable: "The server cannot be reached. Check the connection, then try again.",
  /** @param {number} status */
  strangeAnswer: (status) => `The server answered ${status} without saying why.`,
  /** @param {string} name */
  retryOne: (name) => `Retry the upload of ${name}`,
  /** @param {string} name */
  cancelOne: (name) => `Cancel the upload of ${name}`,
  /** @param {string} name */
  removeOne: (name) => `Remove ${name} from the list`,
  /** @param {string} name */
  progressOf: (name) => `Upload of ${name}`,
  /** @param {number} count */
  andWaiting: (count) => `and ${number.format(count)} more ${count === 1 ? "waits" : "wait"}`,
  /** @param {number} count */
  leftOut: (count) => `${counted(count, "file is no image and was", "files are no images and were")} left out`,
  /** @param {{done: number, total: number, failed: number, leftOut: number}} count */
  queueSummary: ({ done, total, failed, leftOut }) =>
    [
      `${number.format(done)} of ${images(total)} uploaded`,
      failed ? `${number.format(failed)} not uploaded` : "",
      leftOut ? words.leftOut(leftOut) : "",
    ]
      .filter(Boolean)
      .join(" · "),
  /** @param {number} count */
  uploadStarted: (count) => `Uploading ${images(count)}.`,
  /** @param {number} done @param {number} failed */
  uploadEnded: (done, failed) => `${images(done)} uploaded${failed ? `, ${number.format(failed)} not uploaded` : ""}.`,

  // Gallery
  searchLabel: "Search images by label",
  searchHint: "Search by label",
  suggestions: "Labels",
  showAll: "Show all images",
  loadMore: "Load more",
  nothingFound: "No image carries this label yet.",
  nothingWithStatus: "No image is in this state.",
  /** @param {string[]} labels @param {string} status */
  queryText: (labels, status) =>
    [labels.length ? both.format(labels) : "", status ? words.statusOf(status) : ""].filter(Boolean).join(" · "),
  /** @param {string} name */
  searchFor: (name) => `Show all images with ${name}`,
  /** @param {string} status */
  statusOf: (status) =>
    ({ pending: "recognizing", recognized: "recognized", rejected: "rejected", failed: "failed" })[status] ?? status,
  noLabels: "No label",
  /** @param {string} name */
  recognizing: (name) => `${name}, being recognized`,
  /** @param {string[]} labels @param {string} name */
  altText: (labels, name) => (labels.length ? labels.join(", ") : name),
  /** @param {string} name @param {string[]} labels */
  recognizedOne: (name, labels) => `${name}: ${labels.length ? both.format(labels) : words.noLabels}.`,
  /** @param {number} count */
  recognizedMany: (count) => `${images(count)} recognized.`,
  /** @param {string} name @param {string} reason */
  endedOne: (name, reason) => `${name}: ${reason}`,

  // One image
  back: "All images",
  previous: "Newer image",
  next: "Older image",
  labels: "Labels",
  download: "Download",
  delete: "Delete",
  /** @param {string} name */
  deleteTitle: (name) => `Delete ${name}?`,
  deleteText: "The image and its labels are deleted for good.",
  deleted: "Deleted.",
  deletedElsewhere: "This image has been deleted.",
  noPreview: "No image to show",
  recognizingNow: "It is being recognized. The labels appear here as soon as they are known.",
  rejectedTitle: "It could not be read",
  failedTitle: "It could not be recognized",
  /** @param {string[]} parents */
  kindOf: (parents) => (parents.length ? `a kind of ${parents.join(", ")}` : ""),
  least: "Labels from",
  places: "Show where",
  /** @param {number} count */
  placesIn: (count) => counted(count, "place", "places"),
  /** @param {string} name @param {number} confidence @param {number} index @param {number} count */
  boxName: (name, confidence, index, count) =>
    `${name}, ${words.percent(confidence)}${count > 1 ? `, ${index + 1} of ${count}` : ""}`,
  /** @param {number} width @param {number} height */
  pixels: (width, height) => `${number.format(width)} × ${number.format(height)} pixels`,
  /** @param {number} confidence */
  percent: (confidence) => percentFormat.format(confidence / 100),
  /** @param {string} model */
  recognizedBy: (model) => `recognized by ${model}`,

  // Be told
  toldText: "Get a mail or a webhook call when an image has been recognized.",
  channel: "By",
  mail: "Mail",
  webhook: "Webhook",
  mailAddress: "Mail address",
  webhookAddress: "Webhook URL",
  onlyLabels: "Only for these labels",
  onlyLabelsHint: "Dog, Cat. Leave it empty for all images.",
  frequency: "How often",
  each: "each image",
  hourly: "once an hour",
  daily: "once a day",
  minConfidence: "From this confidence",
  subscribe: "Tell me",
  subscriptions: "Who is told",
  noSubscriptions: "Nobody yet.",
  allImages: "all images",
  /** @param {string} address */
  unsubscribe: (address) => `Stop telling ${address}`,
  /** @param {string} address */
  unsubscribeTitle: (address) => `Stop telling ${address}?`,
  unsubscribeText: "What still waits to be told there is dropped.",
  unsubscribeYes: "Stop telling",
  secretTitle: "The webhook’s secret",
  secretText: "Each call is signed with it. It is shown this once: copy it now.",
  copy: "Copy",
  copied: "Copied",
  outbox: "Waiting to be told",
  outboxEmpty: "Nothing waits.",
  deadLetters: "Dead letters",
  deadLettersText: "These were tried as often as the settings allow and will not be tried again by themselves.",
  deadLettersEmpty: "None.",
  redrive: "Redrive",
  redriveAll: "Redrive all",
  redriven: "Queued again.",
  /** @param {string} key */
  redriveOne: (key) => `Redrive ${key}`,
  /** @param {number} count */
  tried: (count) => `tried ${counted(count, "time", "times")}`,
  /** @param {string} text */
  nextTry: (text) => `again ${text}`,
  /** @param {string} text */
  deadSince: (text) => `since ${text}`,

  // Session and live updates
  signInTitle: "Sign in",
  signInText: "This server asks for its token. Whoever set it up knows it.",
  token: "Token",
  signIn: "Sign in",
  notLive: "Live updates are interrupted. The page looks for changes every few seconds.",

  /** @param {string | null} time RFC 3339 */
  time: (time) => (time ? moment.format(new Date(time)) : ""),
  /** @param {number} bytes */
  size: (bytes) => {
    const units = ["byte", "kilobyte", "megabyte"];
    const step = bytes < 1000 ? 0 : bytes < 1_000_000 ? 1 : 2;
    return new Intl.NumberFormat("en", {
      style: "unit",
      unit: units[step],
      unitDisplay: step ? "short" : "long",
      maximumFractionDigits: step === 2 ? 1 : 0,
    }).format(bytes / 1000 ** step);
  },
};
