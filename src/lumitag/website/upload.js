/** One upload: check the file, ask for a grant, send the bytes. */

import { ApiError, errorFrom, requestUpload } from "./api.js";
import { imageType } from "./signature.js";
import { words } from "./words.js";

const ATTEMPTS = 4;
const FIRST_DELAY_MS = 800;
const MOST_HASHED_BYTES = 64_000_000;

/** @typedef {import("./api.js").UploadGrant} UploadGrant */

/** The file is refused before anything is sent. */
export class FileRefused extends Error {
  /** @param {string} message @param {boolean} isImage */
  constructor(message, isImage) {
    super(message);
    this.isImage = isImage;
  }
}

/**
 * Upload one file and return the key of its image. What may pass by itself is tried again a few times.
 * @param {File} file
 * @param {(ratio: number) => void} onProgress
 * @param {AbortSignal} signal
 * @returns {Promise<{key: string, contentType: string}>}
 */
export async function uploadFile(file, onProgress, signal) {
  const request = await describe(file);
  /** @type {UploadGrant | null} */
  let grant = null;
  for (let attempt = 1; ; attempt += 1) {
    try {
      // The same grant again: should the bytes have arrived and only the answer be lost, nothing is stored twice.
      grant ??= await requestUpload(request);
      signal.throwIfAborted();
      await sendBytes(grant, file, onProgress, signal);
      return { key: grant.key, contentType: request.contentType };
    } catch (error) {
      if (!(error instanceof ApiError) || !error.isPassing || attempt === ATTEMPTS) throw error;
      await pause(FIRST_DELAY_MS * 2 ** (attempt - 1) * (0.5 + Math.random()), signal);
    }
  }
}

/** @param {File} file */
async function describe(file) {
  if (file.size === 0) throw new FileRefused(words.emptyFile, false);
  try {
    const contentType = await imageType(file);
    if (!contentType) throw new FileRefused(words.notAnImage, false);
    return { fileName: file.name, contentType, size: file.size, ...(await hashOf(file)) };
  } catch (error) {
    if (error instanceof DOMException) throw new FileRefused(words.unreadableFile, true);
    throw error;
  }
}

/**
 * The hash lets the server prove that every byte arrived. Browsers compute it on secure pages only.
 * @param {File} file
 * @returns {Promise<{sha256?: string}>}
 */
async function hashOf(file) {
  if (!globalThis.crypto?.subtle || file.size > MOST_HASHED_BYTES) return {};
  const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return { sha256: [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("") };
}

/**
 * Send with XMLHttpRequest, because fetch tells nothing about the progress of an upload.
 * @param {UploadGrant} grant
 * @param {File} file
 * @param {(ratio: number) => void} onProgress
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function sendBytes(grant, file, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    request.open(grant.method, grant.uploadUrl);
    for (const [name, value] of Object.entries(grant.headers ?? {})) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onabort = () => reject(signal.reason);
    request.onerror = () => reject(errorFrom(0, ""));
    request.onload = () =>
      request.status >= 200 && request.status < 300 ? resolve() : reject(errorFrom(request.status, request.responseText));
    request.onloadend = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort);
    request.send(grant.method === "POST" ? formOf(grant, file) : file);
  });
}

/** @param {UploadGrant} grant @param {File} file */
function formOf(grant, file) {
  const form = new FormData();
  for (const [name, value] of Object.entries(grant.fields)) form.append(name, value);
  form.append("file", file); // S3 ignores every field after the file.
  return form;
}

/** @param {number} milliseconds @param {AbortSignal} signal @returns {Promise<void>} */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}
