/** Scores that count up to their new value, and say by how much. */

import { number } from "./format.js";
import { mayMove } from "./flip.js";

const COUNT_MS = 700;
const FLOAT = { duration: 1400, easing: "ease-out" };

/** One frame loop for all rows; it runs only while something counts. */
export class CountUp {
  #counting = new Map();
  #frame = 0;

  /** Brings `row` ({score, number, delta}) to `score`. */
  to(row, score) {
    if (row.score === score) {
      if (!this.#counting.has(row)) write(row, score);
      return;
    }
    const shown = this.#counting.get(row)?.shown ?? row.score;
    const gained = score - row.score;
    row.score = score;
    if (!mayMove()) {
      write(row, score);
      return;
    }
    this.#counting.set(row, { from: shown, to: score, since: performance.now(), shown });
    if (gained > 0) float(row.delta, gained);
    if (!this.#frame) this.#frame = requestAnimationFrame((now) => this.#step(now));
  }

  #step(now) {
    for (const [row, count] of this.#counting) {
      const passed = Math.min(1, Math.max(0, (now - count.since) / COUNT_MS));
      count.shown = passed === 1 ? count.to : Math.round(count.from + (count.to - count.from) * (1 - (1 - passed) ** 3));
      write(row, count.shown);
      if (passed === 1) this.#counting.delete(row);
    }
    this.#frame = this.#counting.size ? requestAnimationFrame((next) => this.#step(next)) : 0;
  }
}

function write(row, value) {
  const text = number(value);
  if (row.number.textContent !== text) row.number.textContent = text;
}

function float(element, gained) {
  element.textContent = `+${number(gained)}`;
  element.animate(
    [
      { opacity: 0, transform: "translateY(60%)" },
      { opacity: 1, transform: "none", offset: 0.12 },
      { opacity: 1, transform: "none", offset: 0.7 },
      { opacity: 0, transform: "translateY(-60%)" },
    ],
    FLOAT,
  );
}
