/** Draws the player's own panel: standing, name, sign-in. Knows no network; what is asked for comes out as calls. */

import { label, standing } from "./format.js";

export class Panel {
  #parts;

  /** `asks`: {signIn, signOut, score, rename(name or null)}; each may return a promise, and throw for people. */
  constructor(root, asks) {
    this.#parts = Object.fromEntries(
      [...root.querySelectorAll("[data-panel]")].map((element) => [element.dataset.panel, element]),
    );
    const { signIn, signOut, score, naming, name, anonymous, open } = this.#parts;
    root.hidden = false;
    signIn.addEventListener("click", () => this.#busy(signIn, asks.signIn));
    signOut.addEventListener("click", asks.signOut);
    score?.addEventListener("click", () => this.#busy(score, asks.score));
    open.addEventListener("click", () => this.#toggle(naming.hidden));
    naming.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#rename(asks.rename, name.value);
    });
    anonymous.addEventListener("click", () => this.#rename(asks.rename, null));
    naming.addEventListener("keydown", (event) => event.key === "Escape" && this.#close());
  }

  /** `own` is a standing, or null while nobody is signed in. */
  draw(own, signedIn) {
    const { standing: line, signIn, signedIn: rest } = this.#parts;
    const left = document.activeElement;
    signIn.hidden = signedIn;
    rest.hidden = !signedIn;
    if (signedIn && left === signIn) rest.querySelector("button").focus();
    if (!signedIn && rest.contains(left)) signIn.focus();
    const text = own ? standing(own) : "";
    if (line.textContent !== text) line.textContent = text;
    line.hidden = !own;
    if (!signedIn) this.#parts.naming.hidden = true;
  }

  /** The label under which others see the player. */
  drawName(userId, name) {
    this.#parts.open.textContent = name === null ? "Choose a name" : `Name: ${name}`;
    this.#parts.anonymous.textContent = `Be “${label({ userId, name: null })}”`;
    if (document.activeElement !== this.#parts.name) this.#parts.name.value = name ?? "";
  }

  /** Shows what went wrong; "" when all is well again. */
  complain(message) {
    this.#parts.problem.textContent = message;
    this.#parts.problem.hidden = message === "";
  }

  async #rename(ask, value) {
    try {
      await ask(value);
      this.#close();
    } catch (failure) {
      this.#fail(failure.message);
      this.#parts.name.focus();
    }
  }

  #fail(message) {
    const { name, error } = this.#parts;
    error.textContent = message;
    error.hidden = message === "";
    name.setAttribute("aria-invalid", String(message !== ""));
  }

  #toggle(shown) {
    const { naming, name, open } = this.#parts;
    naming.hidden = !shown;
    open.setAttribute("aria-expanded", String(shown));
    if (shown) name.focus();
    else this.#fail("");
  }

  #close() {
    this.#toggle(false);
    this.#parts.open.focus();
  }

  async #busy(button, ask) {
    if (button.ariaBusy) return;
    button.setAttribute("aria-busy", "true"); // not disabled: that would take the focus away
    try {
      await ask();
      this.complain("");
    } catch (failure) {
      this.complain(failure.message);
    }
    button.removeAttribute("aria-busy");
  }
}
