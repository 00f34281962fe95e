/** The HTTP API, one function a route. Addresses are relative: the page may live under any path. */

import { words } from "./words.js";

/**
 * @typedef {{left: number, top: number, width: number, height: number}} BoundingBox ratios of the picture
 * @typedef {{boundingBox: BoundingBox, confidence: number}} Instance
 * @typedef {{name: string, concept: string, confidence: number, parents: string[], aliases: string[],
 *   categories: string[], instances: Instance[]}} Label
 * @typedef {{key: string, fileName: string, contentType: string, size: number, sha256: string | null,
 *   width: number | null, height: number | null, status: string, reason: string | null, labels: Label[],
 *   recognizer: string | null, modelVersion: string | null, uploadTime: string | null,
 *   recognizedTime: string | null}} ImageRecord
 * @typedef {{key: string, uploadUrl: string, method: string, headers: Record<string, string>,
 *   fields: Record<string, string>, expiresAt: string}} UploadGrant
 * @typedef {{id: string, channel: string, address: string, labels: string[], minConfidence: number,
 *   frequency: string, createdTime: string, secret?: string}} Subscription
 * @typedef {{id: string, subscriptionId: string, key: string, fileName: string, dueTime: string, attempts: number,
 *   reason: string | null}} Notification
 * @typedef {{id: string, queue: string, key: string, reason: string, receiveCount: number, deadTime: string}} DeadLetter
 */

/** The server said no, or could not be reached. The message is for people. */
export class ApiError extends Error {
  /** @param {string} code @param {string} message @param {number} status 0 when there was no answer */
  constructor(code, message, status) {
    super(message);
    this.code = code;
    this.status = status;
  }

  /** Whether the same request may succeed later. */
  get isPassing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/**
 * Make the error that an answer's body describes.
 * @param {number} status
 * @param {string} text the body
 * @returns {ApiError}
 */
export function errorFrom(status, text) {
  if (status === 0) return new ApiError("unreachable", words.unreachable, 0);
  try {
    const { error, message } = JSON.parse(text);
    if (typeof message === "string") return new ApiError(String(error), message, status);
  } catch {
    // A proxy in between may answer with a page of its own.
  }
  return new ApiError("strange_answer", words.strangeAnswer(status), status);
}

/** What is shown unless a reader asks for more: percent. */
export const USUAL_CONFIDENCE = 70;

/** Hears of every 401, so that one place can ask for the token. */
export const session = new EventTarget();

/**
 * @param {string} method
 * @param {string} path
 * @param {any} [body]
 * @returns {Promise<Response>}
 */
async function send(method, path, body) {
  const content = body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(path, { method, ...content });
  } catch {
    throw errorFrom(0, "");
  }
  if (answer.ok) return answer;
  if (answer.status === 401 && path !== "session") session.dispatchEvent(new Event("needed"));
  throw errorFrom(answer.status, await answer.text());
}

/** @param {string} path @returns {Promise<any>} */
const get = async (path) => (await send("GET", path)).json();
/** @param {string} key */
const imagePath = (key) => `images/${encodeURIComponent(key)}`;
/** @param {Record<string, string | number | undefined | null | string[]>} parameters */
function query(parameters) {
  const pairs = Object.entries(parameters).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
  const kept = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return new URLSearchParams(kept.map(([name, value]) => [String(name), String(value)])).toString();
}

/** @returns {Promise<{tokenNeeded: boolean, signedIn: boolean}>} */
export const getSession = () => get("session");
/** @param {string} token */
export const signIn = (token) => send("POST", "session", { token });

/** @param {{fileName: string, contentType: string, size: number, sha256?: string}} request @returns {Promise<UploadGrant>} */
export const requestUpload = async (request) => (await send("POST", "generate-upload-url", request)).json();

/**
 * @param {{labels: string[], status: string}} wanted
 * @param {string | null} cursor
 * @param {number} limit
 * @returns {Promise<{images: ImageRecord[], nextCursor: string | null}>}
 */
export const listImages = ({ labels, status }, cursor, limit) =>
  get(`images?${query({ label: labels, status, limit, cursor })}`);
/**
 * Return one record with all its stored labels, or with those of at least this confidence, in percent.
 * @param {string} key
 * @param {number} [minConfidence]
 * @returns {Promise<ImageRecord>}
 */
export const getImage = (key, minConfidence) => get(`${imagePath(key)}?${query({ minConfidence })}`);
/** @param {string} key @returns {Promise<Blob>} */
export const getContent = async (key) => (await send("GET", contentPath(key))).blob();
/** @param {string} key */
export const deleteImage = (key) => send("DELETE", imagePath(key));
/** @param {string} key */
export const contentPath = (key) => `${imagePath(key)}/content`;
/** @param {string} key */
export const thumbnailPath = (key) => `${imagePath(key)}/thumbnail`;

/** @param {string} prefix @returns {Promise<{name: string, count: number}[]>} */
export const listLabels = async (prefix) => (await get(`labels?${query({ prefix })}`)).labels;

/** @returns {Promise<Subscription[]>} */
export const listSubscriptions = async () => (await get("subscriptions")).subscriptions;
/** @param {Record<string, any>} subscription @returns {Promise<Subscription>} */
export const subscribe = async (subscription) => (await send("POST", "subscriptions", subscription)).json();
/** @param {string} id */
export const unsubscribe = (id) => send("DELETE", `subscriptions/${encodeURIComponent(id)}`);

/** @param {number} limit @returns {Promise<Notification[]>} */
export const listOutbox = async (limit) => (await get(`outbox?${query({ limit })}`)).notifications;
/** @returns {Promise<DeadLetter[]>} */
export const listDeadLetters = async () => (await get("dead-letters")).deadLetters;
/** @param {string[] | null} ids all of them when null */
export const redrive = (ids) => send("POST", "dead-letters", ids ? { ids } : { all: true });
