import assert from "node:assert/strict";
import { test } from "node:test";

import { Account, Refusal } from "../../../../../static/scoreboard/account.js";
import { label, movement, silk, standing, status } from "../../../../../static/scoreboard/format.js";
import { Movement, WINDOW_MS } from "../../../../../static/scoreboard/movement.js";
import { withBoard } from "../../../../../static/scoreboard/standing.js";

const rows = (...ids) => ids.map((userId, index) => ({ userId, rank: index + 1, score: 100 - index, name: null }));

test("movement is counted since a few minutes ago", () => {
  const moved = new Movement();
  assert.equal(moved.of({ userId: "a", rank: 1 }), 0);
  moved.record(rows("a", "b", "c"), 0);
  moved.record(rows("c", "a", "b", "d"), 60_000);
  const now = (id, rank) => moved.of({ userId: id, rank });
  assert.deepEqual([now("c", 1), now("a", 2), now("b", 2), now("d", 4)], [2, -1, 0, "new"]);
  moved.record(rows("c", "a", "b", "d"), 60_000 + WINDOW_MS);
  assert.deepEqual([now("c", 1), now("a", 2), now("d", 4)], [0, 0, 0]);
});

test("movement is marked for the eye and said for the ear", () => {
  assert.deepEqual(movement(2), { kind: "up", mark: "▲2", words: "up 2" });
  assert.deepEqual(movement(-1), { kind: "down", mark: "▼1", words: "down 1" });
  assert.deepEqual(movement("new"), { kind: "new", mark: "new", words: "new on the board" });
  assert.equal(movement(0).words, "");
});

test("a player without a name has a friendly label", () => {
  assert.equal(label({ userId: "USER-111", name: null }), "Player USER-111");
  assert.equal(label({ userId: "3f1c9a52-7a1e-4c8e-9f63-1a2b3c4d5e6f", name: null }), "Player 3f1c9a52…");
  assert.equal(label({ userId: "USER-111", name: "Ann" }), "Ann");
  assert.ok(silk("USER-111") >= 0 && silk("USER-111") < 48);
});

test("the own standing reads as a sentence", () => {
  const own = { userId: "a", score: 50, rank: 1234, total: 56789, pointsToTop10: 120 };
  assert.equal(standing(own), "You: rank 1,234 of 56,789, 120 points to the Top 10");
  assert.equal(standing({ ...own, rank: 3, pointsToTop10: 0 }), "You: rank 3 of 56,789, 50 points");
  assert.equal(standing({ ...own, rank: null, total: null }), "You: 50 points, 120 points to the Top 10");
  assert.equal(
    standing({ ...own, score: 0, rank: null, total: null, pointsToTop10: 1 }),
    "You: no points yet, 1 point to the Top 10",
  );
});

test("the own standing follows the board", () => {
  const ten = rows(..."abcdefghij");
  const own = { userId: "z", score: 50, rank: 44, total: 90, pointsToTop10: 1 };
  assert.deepEqual(withBoard(own, ten), { standing: { ...own, pointsToTop10: 42 }, asks: false });
  const on = withBoard({ ...own, userId: "c" }, ten).standing;
  assert.deepEqual([on.score, on.rank, on.pointsToTop10], [98, 3, 0]);
  assert.equal(withBoard({ ...own, rank: 9 }, ten).asks, true);
  assert.equal(withBoard({ ...own, userId: "c", score: 0, rank: null }, ten).asks, true);
  assert.equal(withBoard(own, rows("a", "b")).standing.pointsToTop10, 0);
});

test("the status line tells the truth about the connection", () => {
  const asOf = "2026-01-01T00:00:00.000Z";
  const words = (link, fresh = true, online = true) => status({ link, fresh, asOf, frozenAt: null }, online).words;
  assert.equal(words("live"), "Live");
  assert.equal(words("reconnecting"), "Reconnecting");
  assert.equal(words("polling"), "Live, every few seconds");
  assert.match(words("reconnecting", false), /^Stale since /);
  assert.match(words("live", false), /^Stale since /);
  assert.match(words("live", true, false), /^Offline since /);
  assert.match(status({ link: "live", fresh: true, asOf, frozenAt: asOf }).words, /^Final since /);
});

/** An account whose network answers from `answers` in turn. */
function stage(urls, ...answers) {
  const world = { requests: [], gone: [], store: new Map(), changes: 0, tokens: [], time: 0 };
  const env = {
    fetch: async (url, options) => {
      world.requests.push({ url, ...options });
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      const [status, body] = answer;
      return { status, ok: status < 400, json: async () => body };
    },
    now: () => world.time,
    crypto: globalThis.crypto,
    storage: {
      getItem: (key) => world.store.get(key) ?? null,
      setItem: (key, value) => world.store.set(key, value),
      removeItem: (key) => world.store.delete(key),
    },
    goTo: (url) => world.gone.push(new URL(url)),
  };
  const account = new Account(
    { me: "/me", name: "/name", update: "/update", ...urls },
    { onChange: () => world.changes++, onToken: () => world.tokens.push(account.token) },
    env,
  );
  return { account, world };
}

const COGNITO = { cognito: { domain: "https://pool.example", clientId: "web" }, page: "https://site.example/" };
const RETURN = (world) => `?code=c0de&state=${world.gone[0].searchParams.get("state")}`;

test("a guest of the demo signs in with one call", async () => {
  const { account, world } = stage({ demo: "/demo" }, [200, { accessToken: "t" }], [200, { userId: "guest" }]);
  await account.signIn();
  assert.deepEqual([account.token, world.changes], ["t", 1]);
  await account.me();
  assert.equal(world.requests[1].headers.Authorization, "Bearer t");
  assert.equal(world.store.size, 0);
});

test("the code of the hosted page is exchanged with the verifier behind its challenge", async () => {
  const { account, world } = stage(COGNITO, [200, { access_token: "t", refresh_token: "r", expires_in: 3600 }]);
  await account.signIn();
  const asked = world.gone[0].searchParams;
  assert.equal(world.gone[0].origin + world.gone[0].pathname, "https://pool.example/oauth2/authorize");
  assert.deepEqual([asked.get("code_challenge_method"), asked.get("response_type")], ["S256", "code"]);
  assert.equal(await account.finish(RETURN(world)), true);
  const sent = world.requests[0].body;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(sent.get("code_verifier")));
  assert.equal(Buffer.from(digest).toString("base64url"), asked.get("code_challenge"));
  assert.deepEqual([sent.get("code"), sent.get("client_id"), account.token], ["c0de", "web", "t"]);
  assert.equal(world.store.size, 0, "nothing is kept outside memory");
});

test("an answer to a question nobody asked is not used", async () => {
  const { account, world } = stage(COGNITO);
  assert.equal(await account.finish("?code=evil&state=evil"), false);
  await account.signIn();
  assert.equal(await account.finish("?code=evil&state=evil"), true);
  assert.deepEqual([world.requests.length, account.token, world.store.size], [0, null, 0]);
});

test("a token is renewed before it ends, once for all who ask", async () => {
  const { account, world } = stage(
    COGNITO,
    [200, { access_token: "t1", refresh_token: "r", expires_in: 3600 }],
    [200, { access_token: "t2", expires_in: 3600 }],
    [200, {}],
    [200, {}],
  );
  await account.signIn();
  await account.finish(RETURN(world));
  world.time = 3_550_000;
  await Promise.all([account.me(), account.me()]);
  assert.equal(world.requests[1].body.get("grant_type"), "refresh_token");
  assert.deepEqual(world.requests.slice(2).map((request) => request.headers.Authorization), ["Bearer t2", "Bearer t2"]);
  assert.deepEqual([world.tokens, world.changes], [["t1", "t2"], 1]);
});

test("a refused token signs out", async () => {
  const { account, world } = stage({ demo: "/demo" }, [200, { accessToken: "t" }], [401, { detail: "no" }]);
  await account.signIn();
  await assert.rejects(account.me(), (error) => error instanceof Refusal && error.message === "no");
  assert.deepEqual([account.token, world.changes, world.tokens], [null, 2, ["t", null]]);
});

test("signing out of Cognito ends its session, too", async () => {
  const { account, world } = stage(COGNITO, [200, { access_token: "t", expires_in: 60 }]);
  await account.signIn();
  await account.finish(RETURN(world));
  account.signOut();
  assert.equal(account.token, null);
  assert.equal(world.gone[1].href, "https://pool.example/logout?client_id=web&logout_uri=https%3A%2F%2Fsite.example%2F");
});

test("an update that has to be tried again keeps its key", async () => {
  const { account, world } = stage(
    { demo: "/demo" }, [200, { accessToken: "t" }], new TypeError("cut"), [503, {}], [200, { newScore: 10 }],
  );
  await account.signIn();
  assert.deepEqual(await account.score("ann", 10), { newScore: 10 });
  const keys = world.requests.slice(1).map((request) => request.headers["Idempotency-Key"]);
  assert.deepEqual([keys.length, new Set(keys).size], [3, 1]);
});

test("what a refusal says is what the field says, else the problem", () => {
  assert.equal(new Refusal(400, { detail: "bad", errors: { name: ["reserved"] } }).message, "reserved");
  assert.equal(new Refusal(409, { detail: "no" }).message, "no");
});
