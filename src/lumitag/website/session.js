/** The sign-in form, shown when the server asks for its token. */

import { getSession, session, signIn } from "./api.js";
import { byId, showText } from "./dom.js";

/**
 * Call `onReady` as soon as this page may ask the server for anything; ask for the token first when it is needed.
 * @param {{ask: () => void, onReady: () => void}} page
 */
export async function openSession({ ask, onReady }) {
  session.addEventListener("needed", ask);
  byId("session-form").addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    const token = byId("token");
    showText(byId("session-problem"), null);
    try {
      await signIn(token.value.trim());
      token.value = "";
      onReady();
    } catch (error) {
      showText(byId("session-problem"), error instanceof Error ? error.message : String(error));
      token.select();
    }
  });
  const isOpen = await getSession().then(
    ({ tokenNeeded, signedIn }) => !tokenNeeded || signedIn,
    () => true, // Without an answer the gallery says what is wrong.
  );
  if (isOpen) onReady();
  else ask();
}
