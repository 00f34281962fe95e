/** Where files come from: a drop, the clipboard, the file dialog, a folder of any depth. */

/**
 * @typedef {{file: File, fromFolder: boolean}} Source `fromFolder`: nobody chose this very file
 */

/**
 * Whether a drag or a paste carries files at all.
 * @param {DataTransfer | null} transfer
 * @returns {boolean}
 */
export const carriesFiles = (transfer) => Boolean(transfer && [...transfer.types].includes("Files"));

/**
 * Return the files of a drop or a paste, those inside dropped folders too.
 * @param {DataTransfer} transfer
 * @returns {Promise<Source[]>}
 */
export async function filesOf(transfer) {
  // The entries must be taken before the first await: afterwards the browser has emptied the transfer.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  const loose = [...transfer.files].map((file) => ({ file, fromFolder: false }));
  if (!entries.some((entry) => entry?.isDirectory)) return loose;
  const nested = await Promise.all(entries.map((entry) => (entry ? walk(entry, false) : [])));
  return nested.flat();
}

/**
 * Return what a file dialog chose.
 * @param {HTMLInputElement} input
 * @param {boolean} fromFolder
 * @returns {Source[]}
 */
export function chosenFiles(input, fromFolder) {
  const files = [...(input.files ?? [])].filter((file) => !fromFolder || !file.name.startsWith("."));
  input.value = ""; // The same file may be chosen again.
  return files.map((file) => ({ file, fromFolder }));
}

/** @param {any} entry @param {boolean} fromFolder @returns {Promise<Source[]>} */
async function walk(entry, fromFolder) {
  if (fromFolder && entry.name.startsWith(".")) return [];
  if (entry.isFile) {
    const file = await new Promise((resolve) => entry.file(resolve, () => resolve(null)));
    return file ? [{ file, fromFolder }] : [];
  }
  const found = [];
  for (const child of await entriesOf(entry)) found.push(...(await walk(child, true)));
  return found;
}

/** @param {any} folder @returns {Promise<any[]>} */
async function entriesOf(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    // A reader hands out a hundred entries at a time, and none when it is done.
    const some = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (some.length === 0) return all;
    all.push(...some);
  }
}
