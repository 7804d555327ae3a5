/**
 * The board as it comes over the network: the socket, polling while there is none, and how far what came
 * can be trusted. Knows no DOM; clock, timers, chance and network come in through `env`.
 */

/** The subprotocol that goes before an access token (realtime/sockets/admission.py). */
const PROTOCOL = "scoreboard";
/** Close codes of the server (realtime/events.py) that mean "stay away". All others mean "come back". */
export const UNAUTHORIZED = 4401;
export const NOT_FOUND = 4404;
/** The server restarts: many come back at once, so nobody does so immediately. */
export const SERVICE_RESTART = 1012;

/** No sign of life for this long (ms): the board is stale and the socket is given up. Signs come every 15 s. */
export const SILENCE_MS = 40_000;
/** A socket that has shown no board by then (ms) is given up. */
export const CONNECT_MS = 4_000;
/** Polling begins after this many failed sockets in a row. */
export const FAILURES_TO_POLL = 3;
/** Polls are between these apart (ms), so that a board is true again within 5 s after any outage. */
export const POLL_MS = [2_000, 4_000];
/** A tab hidden for this long (ms) lets go of its socket. */
export const HIDDEN_MS = 10_000;

const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_CAP_MS = 30_000;
const RESTART_SPREAD_MS = 2_000;
/** A socket that lasted this long (ms) was a good one: the next failure is the first again. */
const GOOD_SOCKET_MS = 5_000;

/** Full jitter: anything between 0 and a ceiling that doubles with each failure in a row (1, 2, …). */
export function backoff(failures, random) {
  return random() * Math.min(BACKOFF_CAP_MS, BACKOFF_FIRST_MS * 2 ** (failures - 1));
}

/** What a browser offers. `token()` is the access token to show to a private board, or null. */
export function browserEnvironment(token = () => null) {
  return {
    token,
    socket: (url, protocols) => new WebSocket(url, protocols),
    fetch: (url, options) => fetch(url, options),
    now: () => Date.now(),
    random: () => Math.random(),
    setTimeout: (work, ms) => setTimeout(work, ms),
    clearTimeout: (timer) => clearTimeout(timer),
  };
}

/**
 * Calls `onBoard({revision, asOf, top10, stale, frozenAt})` for every board that is newer than all before,
 * and `onState({link, fresh, asOf, frozenAt})` when one of these changes:
 *
 *   link   connecting · live · reconnecting · polling · unauthorized · asleep
 *   fresh  false: nothing newer than `asOf` is known, because nothing comes or the server knows no better
 *
 * A token is shown to a private board only. Without a valid one the board is empty again.
 */
export class Feed {
  #urls; #env; #onBoard; #onState;
  #private; #shown = null;
  #revision; #asOf; #frozenAt = null;
  #link = "connecting"; #fresh; #told = "";
  #socket = null; #openedAt = 0; #failures = 0;
  #lastFrameAt; #freshAt;
  #timers = { retry: null, connect: null, watch: null, poll: null, hide: null };
  #etag = null; #polling = null; #pollFailed = false; #stopped = true;

  /** `revision` and `asOf` are those of the board already on the page; -1 and null when there is none. */
  constructor({ socketUrl, top10Url, isPrivate = false, revision = -1, asOf = null, onBoard, onState }, env) {
    this.#urls = { socket: socketUrl, top10: top10Url };
    this.#env = env;
    this.#private = isPrivate;
    this.#onBoard = onBoard;
    this.#onState = onState;
    this.#revision = revision;
    this.#asOf = asOf;
    this.#fresh = asOf !== null;
    this.#lastFrameAt = this.#freshAt = env.now();
  }

  get revision() {
    return this.#revision;
  }

  start() {
    this.#stopped = false;
    this.#lastFrameAt = this.#env.now();
    this.#watch();
    this.#connect();
  }

  /** Lets go of the network, at once. `wake` starts again. */
  sleep() {
    this.#stopped = true;
    for (const name of Object.keys(this.#timers)) this.#clear(name);
    this.#polling?.abort();
    this.#polling = null;
    this.#drop();
    this.#failures = 0;
    this.#setLink("asleep");
  }

  /** Somebody looks again, or the network is back: no waiting. */
  wake() {
    this.#clear("hide");
    const silent = this.#env.now() - this.#lastFrameAt;
    if (!this.#stopped && this.#link === "live" && silent < SILENCE_MS / 2) return;
    this.#failures = 0;
    this.#stopped = false;
    this.#watch();
    this.#connect();
  }

  /** The tab is hidden: after a while it shall cost nothing. */
  hide() {
    if (!this.#stopped) this.#set("hide", () => this.sleep(), HIDDEN_MS);
  }

  /** There is another token, or none any more. A socket that an older one has opened stays until that ends. */
  tokenChanged() {
    if (!this.#private || this.#stopped) return;
    if (this.#link === "unauthorized" || !this.#env.token()) this.#connect();
  }

  // --- The socket ---------------------------------------------------------------------------------

  #connect() {
    this.#clear("retry");
    this.#drop();
    this.#shown = this.#private ? this.#env.token() : null;
    if (this.#private && !this.#shown) return this.#shut();
    if (this.#link === "asleep" || this.#link === "unauthorized") this.#setLink("reconnecting");
    const socket = this.#env.socket(this.#urls.socket, this.#shown ? [PROTOCOL, this.#shown] : []);
    this.#socket = socket;
    this.#openedAt = this.#env.now();
    this.#set("connect", () => this.#lost(socket, 0), CONNECT_MS);
    socket.onmessage = (event) => socket === this.#socket && this.#receive(event.data);
    socket.onclose = (event) => this.#lost(socket, event.code);
    socket.onerror = () => {}; // a close event always follows
  }

  #drop() {
    this.#clear("connect");
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }

  #lost(socket, code) {
    if (socket !== this.#socket) return;
    const lasted = this.#link === "live" && this.#env.now() - this.#openedAt > GOOD_SOCKET_MS;
    this.#drop();
    if (code === UNAUTHORIZED) {
      this.#private = true;
      const renewed = this.#env.token() !== this.#shown;
      return renewed ? this.#connect() : this.#shut();
    }
    this.#failures = lasted ? 1 : this.#failures + 1;
    if (this.#link !== "polling") this.#setLink("reconnecting");
    if (this.#failures >= FAILURES_TO_POLL || code === NOT_FOUND) this.#poll();
    if (code === NOT_FOUND) return;
    const wait = code === SERVICE_RESTART ? this.#env.random() * RESTART_SPREAD_MS : 0;
    this.#set("retry", () => this.#connect(), Math.max(wait, backoff(this.#failures, this.#env.random)));
  }

  /** Nobody may look: nothing is shown, and nothing is tried before there is another token. */
  #shut() {
    this.#clear("poll");
    this.#polling?.abort();
    this.#polling = this.#etag = this.#asOf = null;
    this.#failures = 0;
    this.#revision = -1;
    this.#setLink("unauthorized");
    this.#onBoard({ revision: -1, asOf: null, top10: [], stale: false, frozenAt: null });
  }

  #receive(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    this.#lastFrameAt = this.#env.now();
    if (message.type === "board" && Array.isArray(message.top10)) {
      this.#clear("connect");
      this.#stopPolling();
      this.#setLink("live", false);
      this.#take(message);
    } else if (message.type === "alive") {
      if (message.revision > this.#revision) this.#pollOnce();
      else this.#seen(message.asOf);
    }
  }

  // --- Polling ------------------------------------------------------------------------------------

  #poll() {
    if (this.#timers.poll === null && this.#polling === null) this.#pollOnce(true);
  }

  #stopPolling() {
    this.#clear("poll");
    this.#pollFailed = false;
  }

  async #pollOnce(again = false) {
    if (this.#polling) return;
    const abort = (this.#polling = new AbortController());
    const timeout = this.#env.setTimeout(() => abort.abort(), CONNECT_MS);
    let wait = POLL_MS[0] + this.#env.random() * (POLL_MS[1] - POLL_MS[0]);
    try {
      wait = Math.max(wait, await this.#fetchBoard(abort.signal));
      if (this.#pollFailed) this.#serverIsBack();
      this.#pollFailed = false;
    } catch {
      this.#pollFailed = true;
    }
    this.#env.clearTimeout(timeout);
    if (this.#polling !== abort) return;
    this.#polling = null;
    if (again && !this.#stopped && this.#link !== "live") {
      this.#set("poll", () => this.#pollOnce(true), wait);
    }
  }

  /** Takes the board; returns how long (ms) the server wants to be left alone. Throws without a board. */
  async #fetchBoard(signal) {
    const headers = { Accept: "application/json" };
    const token = this.#env.token();
    if (token) headers.Authorization = `Bearer ${token}`;
    if (this.#etag) headers["If-None-Match"] = this.#etag;
    const response = await this.#env.fetch(this.#urls.top10, { headers, signal, cache: "no-store" });
    const asOf = response.headers.get("Board-As-Of");
    const revision = Number(response.headers.get("Board-Revision"));
    if (response.status === 200) {
      const top10 = await response.json();
      if (signal.aborted) return 0;
      this.#etag = response.headers.get("ETag");
      this.#pollWorks();
      this.#take({ revision, asOf, top10 });
    } else if (response.status === 304) {
      this.#pollWorks();
      this.#seen(asOf);
    } else if (response.status === 429) {
      return 1000 * (Number(response.headers.get("Retry-After")) || 0);
    } else if (response.status !== 401) {
      throw new Error(`status ${response.status}`);
    }
    return 0;
  }

  #pollWorks() {
    this.#lastFrameAt = this.#env.now();
    if (this.#link !== "live") this.#setLink("polling", false);
  }

  #serverIsBack() {
    if (this.#timers.retry === null) return;
    this.#set("retry", () => this.#connect(), this.#env.random() * BACKOFF_FIRST_MS);
  }

  // --- What is known, and how well ----------------------------------------------------------------

  #take(board) {
    const frozenAt = board.frozenAt ?? null;
    if (board.revision > this.#revision) {
      this.#revision = board.revision;
      this.#frozenAt = frozenAt;
      this.#seen(board.asOf, board.stale);
      this.#onBoard({ ...board, stale: Boolean(board.stale), frozenAt });
    } else {
      if (board.revision === this.#revision) this.#frozenAt = frozenAt;
      this.#seen(board.asOf, board.stale);
    }
  }

  /** The board was true at `asOf`. Times are compared with each other, never with our clock. */
  #seen(asOf, stale = false) {
    if (asOf && (this.#asOf === null || Date.parse(asOf) > Date.parse(this.#asOf))) {
      this.#asOf = asOf;
      this.#freshAt = this.#env.now();
      this.#fresh = !stale;
    } else if (stale) {
      this.#fresh = false;
    }
    this.#watch();
    this.#tell();
  }

  #watch() {
    const now = this.#env.now();
    if (now - this.#freshAt >= SILENCE_MS) this.#fresh = false;
    if (this.#timers.watch === null) {
      this.#set("watch", () => this.#look(), Math.max(1_000, this.#freshAt + SILENCE_MS - now));
    }
    this.#tell();
  }

  #look() {
    if (this.#link === "live" && this.#env.now() - this.#lastFrameAt >= SILENCE_MS) {
      this.#lost(this.#socket, 0);
    }
    this.#watch();
  }

  #setLink(link, tell = true) {
    this.#link = link;
    if (tell) this.#tell();
  }

  #tell() {
    const state = { link: this.#link, fresh: this.#fresh, asOf: this.#asOf, frozenAt: this.#frozenAt };
    const told = JSON.stringify(state);
    if (told === this.#told) return;
    this.#told = told;
    this.#onState(state);
  }

  #set(name, work, ms) {
    this.#clear(name);
    this.#timers[name] = this.#env.setTimeout(() => {
      this.#timers[name] = null;
      work();
    }, ms);
  }

  #clear(name) {
    if (this.#timers[name] !== null) this.#env.clearTimeout(this.#timers[name]);
    this.#timers[name] = null;
  }
}
