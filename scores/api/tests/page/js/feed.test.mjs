import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import * as feedModule from "../../../../../static/scoreboard/feed.js";

const { Feed, backoff, CONNECT_MS, HIDDEN_MS, SERVICE_RESTART, SILENCE_MS, UNAUTHORIZED, NOT_FOUND } = feedModule;

/** A browser in which time passes only when told, chance is chosen and the network does as it is told. */
class World {
  time = 1_000_000;
  chance = 0.5;
  sockets = [];
  requests = [];
  timers = new Map();
  access = null;
  down = false;
  #next = 1;

  answer = () => Promise.reject(new TypeError("no network"));
  environment = {
    token: () => this.access,
    socket: (url, protocols) => {
      const socket = { url, protocols, closed: null, close: (code) => (socket.closed = code) };
      this.sockets.push(socket);
      if (this.down) this.environment.setTimeout(() => socket.onclose?.({ code: 1006 }), 1);
      return socket;
    },
    fetch: (url, options) => {
      this.requests.push({ url, ...options });
      return this.answer(options);
    },
    now: () => this.time,
    random: () => this.chance,
    setTimeout: (work, ms) => {
      this.timers.set(this.#next, { at: this.time + ms, work });
      return this.#next++;
    },
    clearTimeout: (id) => this.timers.delete(id),
  };

  get socket() {
    return this.sockets.at(-1);
  }

  /** Lets `ms` pass, with every timer that falls due in it. */
  async pass(ms) {
    const end = this.time + ms;
    for (;;) {
      await new Promise(setImmediate);
      const [id, timer] = [...this.timers].sort((a, b) => a[1].at - b[1].at)[0] ?? [];
      if (!timer || timer.at > end) break;
      this.time = Math.max(this.time, timer.at);
      this.timers.delete(id);
      timer.work();
    }
    this.time = end;
    await new Promise(setImmediate);
  }

  send(message) {
    this.socket.onmessage({ data: typeof message === "string" ? message : JSON.stringify(message) });
  }

  board(revision, asOf = this.iso()) {
    this.send({ type: "board", revision, asOf, top10: [{ rank: 1, userId: "ann", name: null, score: revision }] });
  }

  iso() {
    return new Date(this.time).toISOString();
  }

  lose(code = 1006) {
    this.socket.onclose({ code });
  }

  serve(revision, { status = 200, headers = {}, etag = '"a"' } = {}) {
    this.answer = async () => ({
      status,
      headers: new Headers({ "Board-Revision": revision, "Board-As-Of": this.iso(), ETag: etag, ...headers }),
      json: async () => [{ rank: 1, userId: "ann", name: null, score: revision }],
    });
  }
}

let world, boards, states, feed;

/** A feed of the page, with what differs from a public board that holds revision 5. */
function stage(differs = {}) {
  boards = [];
  states = [];
  return new Feed(
    {
      socketUrl: "ws://site/ws", top10Url: "/top10", revision: 5, asOf: world.iso(),
      onBoard: (board) => boards.push(board), onState: (state) => states.push(state), ...differs,
    },
    world.environment,
  );
}

const PRIVATE = { isPrivate: true, revision: -1, asOf: null };

beforeEach(() => {
  world = new World();
  feed = stage();
});

const state = () => states.at(-1);
const revisions = () => boards.map((board) => board.revision);

test("a first board makes it live", () => {
  feed.start();
  assert.equal(state().link, "connecting");
  world.board(6);
  assert.equal(state().link, "live");
  assert.deepEqual(revisions(), [6]);
});

test("an older or equal revision is never shown", () => {
  feed.start();
  for (const revision of [7, 6, 7, 5, 8]) world.board(revision);
  assert.deepEqual(revisions(), [7, 8]);
});

test("a board with fields it does not know is shown", () => {
  feed.start();
  const row = { rank: 1, userId: "ann", name: null, score: 6, badge: "gold" };
  world.send({ type: "board", revision: 6, asOf: world.iso(), top10: [row], season: { id: 7 } });
  assert.deepEqual(revisions(), [6]);
  const { rank, userId, name, score } = boards[0].top10[0];
  assert.deepEqual({ rank, userId, name, score }, { rank: 1, userId: "ann", name: null, score: 6 });
});

test("unknown types and noise are ignored", () => {
  feed.start();
  world.send("no json");
  world.send({ type: "weather", revision: 99 });
  world.send({ type: "board", revision: 99 });
  world.board(6);
  assert.deepEqual(revisions(), [6]);
});

test("the wait doubles up to its cap and is anything below it", () => {
  const waits = (chance) => [1, 2, 3, 4, 5, 6, 7].map((failures) => backoff(failures, () => chance));
  assert.deepEqual(waits(1), [1000, 2000, 4000, 8000, 16000, 30000, 30000]);
  assert.deepEqual(waits(0), [0, 0, 0, 0, 0, 0, 0]);
});

test("a lost socket is opened again after the backoff", async () => {
  feed.start();
  world.board(6);
  world.lose();
  assert.equal(state().link, "reconnecting");
  await world.pass(499);
  assert.equal(world.sockets.length, 1);
  await world.pass(2);
  assert.equal(world.sockets.length, 2);
  world.board(7);
  assert.equal(state().link, "live");
});

test("a socket that shows nothing is given up", async () => {
  feed.start();
  await world.pass(CONNECT_MS + 600);
  assert.equal(world.sockets[0].closed, 1000);
  assert.equal(world.sockets.length, 2);
  world.sockets[0].onclose?.({ code: 1006 });
  assert.equal(world.sockets.length, 2);
});

test("a restarting server is not stormed", async () => {
  feed.start();
  world.board(6);
  world.chance = 0.9;
  world.lose(SERVICE_RESTART);
  await world.pass(1790);
  assert.equal(world.sockets.length, 1);
  await world.pass(20);
  assert.equal(world.sockets.length, 2);
});

test("a server that accepts and drops is left alone for longer and longer", async () => {
  feed.start();
  const waits = [];
  for (let revision = 6; revision < 11; revision++) {
    world.board(revision);
    world.lose();
    const lost = world.time;
    while (world.socket.onclose === null) await world.pass(100);
    waits.push(world.time - lost);
  }
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000]);
});

test("after three failures it polls, with the ETag, until a socket works again", async () => {
  world.serve(6);
  feed.start();
  for (let i = 0; i < 3; i++) {
    assert.equal(world.requests.length, 0);
    world.lose();
    if (i < 2) await world.pass(4000);
  }
  await world.pass(1);
  assert.equal(world.requests.length, 1);
  assert.deepEqual(revisions(), [6]);
  assert.equal(state().link, "polling");
  world.serve(6, { status: 304 });
  await world.pass(3001);
  assert.equal(world.requests.at(-1).headers["If-None-Match"], '"a"');
  assert.deepEqual(revisions(), [6]);
  world.board(7);
  const polls = world.requests.length;
  assert.equal(state().link, "live");
  await world.pass(10_000);
  assert.equal(world.requests.length, polls);
});

test("when polls work again after an outage the socket is tried at once", async () => {
  world.down = true;
  world.chance = 0.99;
  feed.start();
  await world.pass(120_000);
  assert.equal(state().fresh, false);
  world.down = false;
  world.serve(9);
  const before = world.sockets.length;
  await world.pass(5_000);
  assert.deepEqual(revisions(), [9]);
  assert.equal(world.sockets.length, before + 1);
  assert.equal(state().fresh, true);
});

test("a poll asked to wait, waits", async () => {
  world.serve(6, { status: 429, headers: { "Retry-After": "20" } });
  feed.start();
  for (let i = 0; i < 3; i++) {
    world.lose();
    await world.pass(i < 2 ? 4000 : 1);
  }
  const before = world.requests.length;
  await world.pass(19_000);
  assert.equal(world.requests.length, before);
});

test("without a sign of life for 40 s the board is stale and the socket is given up", async () => {
  feed.start();
  world.board(6);
  const last = state().asOf;
  await world.pass(SILENCE_MS - 1000);
  assert.equal(state().fresh, true);
  await world.pass(2000);
  assert.deepEqual([state().fresh, state().asOf], [false, last]);
  assert.equal(world.sockets[0].closed, 1000);
  await world.pass(1000);
  assert.equal(world.sockets.length, 2);
  world.board(6);
  assert.deepEqual([state().fresh, state().link], [true, "live"]);
});

test("signs of life keep it fresh as long as what they say gets newer", async () => {
  feed.start();
  world.board(6);
  for (let i = 0; i < 4; i++) {
    await world.pass(15_000);
    world.send({ type: "alive", revision: 6, asOf: world.iso() });
  }
  assert.equal(state().fresh, true);
  const asOf = world.iso();
  for (let i = 0; i < 4; i++) {
    await world.pass(15_000);
    world.send({ type: "alive", revision: 6, asOf });
  }
  assert.deepEqual([state().fresh, state().link, world.sockets.length], [false, "live", 1]);
});

test("a sign of life with a higher revision makes it fetch", async () => {
  feed.start();
  world.board(6);
  world.serve(8);
  world.send({ type: "alive", revision: 8, asOf: world.iso() });
  await world.pass(1);
  assert.deepEqual(revisions(), [6, 8]);
  await world.pass(10_000);
  assert.equal(world.requests.length, 1);
});

test("a board that the server itself calls stale is shown as such", () => {
  feed.start();
  world.send({ type: "board", revision: 6, asOf: world.iso(), top10: [], stale: true });
  assert.equal(state().fresh, false);
});

test("a frozen board says since when", () => {
  feed.start();
  world.send({ type: "board", revision: 6, asOf: world.iso(), top10: [], frozenAt: world.iso() });
  assert.equal(state().frozenAt, world.iso());
  world.board(7);
  assert.equal(state().frozenAt, null);
});

test("a public board is shown no token", () => {
  world.access = "secret";
  feed.start();
  assert.deepEqual(world.socket.protocols, []);
});

test("without a token it stays away from a private board", async () => {
  feed = stage(PRIVATE);
  feed.start();
  await world.pass(120_000);
  assert.equal(state().link, "unauthorized");
  assert.deepEqual([world.sockets.length, world.requests.length], [0, 0]);
});

test("a token opens a private board at once", () => {
  feed = stage(PRIVATE);
  feed.start();
  world.access = "secret";
  feed.tokenChanged();
  assert.deepEqual(world.socket.protocols, ["scoreboard", "secret"]);
  world.board(6);
  assert.deepEqual([state().link, revisions().at(-1)], ["live", 6]);
});

test("a socket that ends with its token is opened again with the renewed one", async () => {
  world.access = "first";
  feed = stage(PRIVATE);
  feed.start();
  world.board(6);
  world.access = "second";
  feed.tokenChanged();
  assert.equal(world.sockets.length, 1);
  world.lose(UNAUTHORIZED);
  assert.deepEqual(world.socket.protocols, ["scoreboard", "second"]);
  world.lose(UNAUTHORIZED);
  await world.pass(120_000);
  assert.deepEqual([state().link, world.sockets.length], ["unauthorized", 2]);
  world.access = "third";
  feed.tokenChanged();
  assert.equal(world.sockets.length, 3);
});

test("who signs out of a private board sees it no longer, and who comes back sees it again", async () => {
  world.access = "secret";
  feed = stage(PRIVATE);
  feed.start();
  world.board(6);
  world.access = null;
  feed.tokenChanged();
  assert.equal(world.socket.closed, 1000);
  assert.deepEqual(boards.at(-1).top10, []);
  world.access = "secret";
  feed.tokenChanged();
  world.board(6);
  assert.equal(boards.at(-1).top10.length, 1);
});

test("a board that has become private asks for the token", () => {
  world.access = "secret";
  feed.start();
  world.lose(UNAUTHORIZED);
  assert.deepEqual(world.socket.protocols, ["scoreboard", "secret"]);
});

test("without sockets it polls a private board with the token", async () => {
  world.access = "secret";
  world.down = true;
  world.serve(6);
  feed = stage(PRIVATE);
  feed.start();
  await world.pass(30_000);
  assert.equal(world.requests[0].headers.Authorization, "Bearer secret");
  assert.deepEqual(revisions(), [6]);
});

test("where there is no socket it only polls", async () => {
  world.serve(6);
  feed.start();
  world.lose(NOT_FOUND);
  await world.pass(60_000);
  assert.equal(world.sockets.length, 1);
  assert.ok(world.requests.length > 10);
});

test("a hidden tab costs nothing, and is back at once", async () => {
  feed.start();
  world.board(6);
  feed.hide();
  await world.pass(HIDDEN_MS + 1);
  assert.equal(world.socket.closed, 1000);
  assert.equal(state().link, "asleep");
  assert.equal(world.timers.size, 0);
  await world.pass(3_600_000);
  feed.wake();
  assert.equal(world.sockets.length, 2);
  assert.equal(state().fresh, false);
  world.board(7);
  assert.deepEqual([state().fresh, state().link], [true, "live"]);
});

test("a quick look elsewhere changes nothing", async () => {
  feed.start();
  world.board(6);
  feed.hide();
  await world.pass(HIDDEN_MS / 2);
  feed.wake();
  await world.pass(HIDDEN_MS);
  assert.equal(world.sockets.length, 1);
  assert.equal(state().link, "live");
});

test("waking up while it waits tries at once", async () => {
  feed.start();
  world.lose();
  feed.wake();
  assert.equal(world.sockets.length, 2);
});

test("a machine that slept does not trust its old socket", async () => {
  feed.start();
  world.board(6);
  world.time += 30_000;
  feed.wake();
  assert.equal(world.sockets.length, 2);
});
