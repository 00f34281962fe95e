/** The address says what is shown: `#/?label=Dog`, `#/images/KEY`, `#/told`. Back and forward work by themselves. */

/**
 * @typedef {{page: "gallery", labels: string[], status: string} | {page: "image", key: string} | {page: "told"}} Route
 */

/**
 * Read a route from the fragment of an address. What is not understood is the gallery.
 * @param {string} hash
 * @returns {Route}
 */
export function parseRoute(hash) {
  const [path, search = ""] = hash.replace(/^#/, "").split("?", 2);
  const image = /^\/images\/([0-9a-z]+)$/.exec(path);
  if (image) return { page: "image", key: image[1] };
  if (path === "/told") return { page: "told" };
  const parameters = new URLSearchParams(search);
  return { page: "gallery", labels: parameters.getAll("label").filter(Boolean), status: parameters.get("status") ?? "" };
}

/**
 * Return the address of all images with a label.
 * @param {string} label
 * @returns {string}
 */
export const labelAddress = (label) => (label ? `#/?${new URLSearchParams({ label })}` : "#/");

/**
 * Return the address of one image.
 * @param {string} key
 * @returns {string}
 */
export const imageAddress = (key) => `#/images/${key}`;

/**
 * Go to an address.
 * @param {string} address
 */
export function go(address) {
  location.hash = address;
}

/**
 * Call `show` now and whenever the address changes.
 * @param {(route: Route) => void} show
 */
export function followRoute(show) {
  window.addEventListener("hashchange", () => show(parseRoute(location.hash)));
  show(parseRoute(location.hash));
}
