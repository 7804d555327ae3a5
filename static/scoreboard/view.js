/**
 * Draws the board, the status line and the player's own line. Knows no network. Names are untrusted: they
 * only ever become text.
 */

import { CountUp } from "./countup.js";
import { clock, label, movement, silk, status } from "./format.js";
import { flip, measure } from "./flip.js";
import { Movement } from "./movement.js";

export class View {
  #parts; #rows = new Map(); #movement = new Movement(); #own = null;
  #waiting = null; #frame = 0; #state = null; #countUp = new CountUp();

  /** `root` is the element the template made; its parts carry `data-part`. `rows` is the board found there. */
  constructor(root) {
    this.#parts = Object.fromEntries(
      [...root.querySelectorAll("[data-part]")].map((element) => [element.dataset.part, element]),
    );
    const rows = [...this.#parts.rows.children].map((element) => this.#adopt(element));
    this.rows = rows;
    this.#movement.record(rows, Date.now());
    this.#drawShares(rows);
    this.#drawAsOf(this.#parts.asof.dateTime);
    addEventListener("online", () => this.drawState(this.#state));
    addEventListener("offline", () => this.drawState(this.#state));
  }

  /** Draws `board` ({top10, asOf}) with the next frame; of several until then only the last. */
  drawBoard(board) {
    this.#waiting = board;
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#draw());
  }

  drawState(state) {
    if (!state) return;
    this.#state = state;
    const { tone, words } = status(state, navigator.onLine);
    const { status: line, state: frame } = this.#parts;
    if (frame.dataset.tone !== tone) frame.dataset.tone = tone;
    if (line.textContent !== words) line.textContent = words;
    const { empty } = this.#parts;
    if (state.link === "unauthorized") empty.textContent = empty.dataset.private;
    else if (state.link === "live" || state.link === "polling") empty.textContent = empty.dataset.none;
    this.#drawAsOf(state.asOf);
  }

  /** Marks the row of this player as one's own; null: nobody's. */
  own(userId) {
    this.#own = userId;
    for (const [id, row] of this.#rows) this.#markOwn(row, id);
  }

  #draw() {
    this.#frame = 0;
    const { top10, asOf } = this.#waiting;
    const { rows: body, empty } = this.#parts;
    const before = measure(body.children);
    this.#movement.record(top10, Date.now());
    const kept = new Set(top10.map((row) => row.userId));
    for (const [userId, row] of this.#rows) {
      if (kept.has(userId)) continue;
      row.element.remove();
      this.#rows.delete(userId);
    }
    top10.forEach((data, index) => {
      const row = this.#rows.get(data.userId) ?? this.#create(data);
      if (body.children[index] !== row.element) body.insertBefore(row.element, body.children[index] ?? null);
      this.#fill(row, data);
    });
    this.#drawShares(top10);
    empty.hidden = top10.length > 0;
    this.#drawAsOf(asOf);
    flip(body.children, before);
  }

  #create(data) {
    const element = this.#parts.row.content.firstElementChild.cloneNode(true);
    element.dataset.user = data.userId;
    element.querySelector(".silk").classList.add(`silk-${silk(data.userId)}`);
    return this.#register(element, { score: data.score });
  }

  /** A row that the server has drawn; returns its data. */
  #adopt(element) {
    const { user: userId, rank, score } = element.dataset;
    this.#register(element, { score: Number(score) });
    const name = element.querySelector(".name");
    const named = !name.classList.contains("unnamed");
    return { userId, rank: Number(rank), score: Number(score), name: named ? name.textContent : null };
  }

  #register(element, { score }) {
    const part = (name) => element.querySelector(`.${name}`);
    const row = {
      element, score, rank: part("rank-number"), name: part("name"), you: part("you"), number: part("number"),
      delta: part("delta"), move: part("move"), mark: part("mark"), words: part("words"),
    };
    this.#rows.set(element.dataset.user, row);
    return row;
  }

  #fill(row, data) {
    const called = label(data);
    if (row.name.textContent !== called) row.name.textContent = called;
    row.name.title = data.name === null ? data.userId : `${data.name} (${data.userId})`;
    row.name.classList.toggle("unnamed", data.name === null);
    row.rank.textContent = data.rank;
    const { kind, mark, words } = movement(this.#movement.of(data));
    if (row.move.dataset.kind !== kind) row.move.dataset.kind = kind;
    row.mark.textContent = mark;
    row.words.textContent = words;
    this.#countUp.to(row, data.score);
    this.#markOwn(row, data.userId);
  }

  #markOwn(row, userId) {
    const own = userId === this.#own;
    row.element.classList.toggle("own", own);
    row.you.hidden = !own;
  }

  /** How far along the lane: the share of the leader's score. */
  #drawShares(rows) {
    const best = Math.max(1, ...rows.map((row) => row.score));
    for (const { userId, score } of rows) {
      this.#rows.get(userId).element.style.setProperty("--share", (score / best).toFixed(4));
    }
  }

  #drawAsOf(asOf) {
    const { asof } = this.#parts;
    if (!asOf) return;
    const text = clock(asOf);
    if (asof.textContent === text) return;
    asof.dateTime = asOf;
    asof.textContent = text;
  }
}
