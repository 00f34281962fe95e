/** What a file is, told by its first bytes. A name or a declared type proves nothing. */

const SIGNATURE_BYTES = 12;

/** @type {[string, (head: string) => boolean][]} */
const SIGNATURES = [
  ["image/jpeg", (head) => head.startsWith("\xff\xd8\xff")],
  ["image/png", (head) => head.startsWith("\x89PNG\r\n\x1a\n")],
  ["image/webp", (head) => head.startsWith("RIFF") && head.slice(8, 12) === "WEBP"],
  ["image/gif", (head) => head.startsWith("GIF87a") || head.startsWith("GIF89a")],
];

/**
 * Return the content type of an image file, or null if it is none that the server takes.
 * @param {Blob} file
 * @returns {Promise<string | null>}
 */
export async function imageType(file) {
  const bytes = new Uint8Array(await file.slice(0, SIGNATURE_BYTES).arrayBuffer());
  const head = String.fromCharCode(...bytes);
  return SIGNATURES.find(([, matches]) => matches(head))?.[0] ?? null;
}
