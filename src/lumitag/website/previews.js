/** Pictures that were uploaded from this page can be shown before the server has a thumbnail of them. */

/** @type {Map<string, string>} */
const addresses = new Map();

/**
 * Remember the file behind a key.
 * @param {string} key
 * @param {File} file
 */
export function keepPreview(key, file) {
  addresses.set(key, URL.createObjectURL(file));
}

/**
 * Return an address of the picture on this machine, if there is one.
 * @param {string} key
 * @returns {string | undefined}
 */
export const previewOf = (key) => addresses.get(key);

/**
 * Let go of the file behind a key.
 * @param {string} key
 */
export function dropPreview(key) {
  const address = addresses.get(key);
  if (!address) return;
  URL.revokeObjectURL(address);
  addresses.delete(key);
}
