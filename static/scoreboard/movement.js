/** Who has moved since a few minutes ago. Pure: times are given (ms). */

/** "Since" means since the newest board that is at least this old (ms), or the oldest one we have seen. */
export const WINDOW_MS = 5 * 60_000;
const GRAIN_MS = 5_000;

export class Movement {
  #history = [];

  /** Remembers the board `rows` as of `now`; several within a few seconds count as the first of them. */
  record(rows, now) {
    const last = this.#history.at(-1);
    if (!last || now - last.at >= GRAIN_MS) {
      this.#history.push({ at: now, ranks: new Map(rows.map((row) => [row.userId, row.rank])) });
    }
    while (this.#history.length > 1 && now - this.#history[1].at >= WINDOW_MS) this.#history.shift();
  }

  /** Places gained (negative: lost) since then, "new" for who was not on the board, 0 before any board. */
  of({ userId, rank }) {
    const then = this.#history[0]?.ranks;
    if (!then) return 0;
    return then.has(userId) ? then.get(userId) - rank : "new";
  }
}
