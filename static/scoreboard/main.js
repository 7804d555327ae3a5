/** Wires the page: the feed brings boards, the account brings the own standing, view and panel draw them. */

import { Account, browserEnvironment as accountEnvironment } from "./account.js";
import { Feed, browserEnvironment as feedEnvironment } from "./feed.js";
import { Panel } from "./panel.js";
import { withBoard } from "./standing.js";
import { View } from "./view.js";

/** The own standing is asked for this often (ms): others move, too. */
const STANDING_MS = 10_000;
/** And never more often than this (ms), whatever the board does. */
const PAUSE_MS = 1_000;

const root = document.getElementById("scoreboard");
const data = root.dataset;
const view = new View(root);

let own = null;
let top10 = view.rows;
let timer = 0;
let askedAt = 0;

const account = new Account(
  {
    me: data.meUrl,
    name: data.nameUrl,
    update: data.updateUrl,
    demo: data.demoUrl,
    cognito: data.cognitoDomain && { domain: data.cognitoDomain, clientId: data.cognitoClientId },
    page: location.origin + location.pathname,
  },
  {
    onChange: () => {
      own = null;
      view.own(null);
      drawPanel();
      askStanding();
    },
    onToken: () => feed.tokenChanged(),
  },
  accountEnvironment(),
);

const feed = new Feed(
  {
    socketUrl: new URL(data.socketPath, location.href.replace(/^http/, "ws")).href,
    top10Url: data.top10Url,
    isPrivate: "private" in data,
    revision: Number(data.revision),
    asOf: data.asOf || null,
    onBoard: (board) => {
      top10 = board.top10;
      view.drawBoard(board);
      if (own) take(own);
    },
    onState: (state) => view.drawState(state),
  },
  feedEnvironment(() => account.token),
);

const place = document.getElementById("you");
const panel =
  place &&
  new Panel(place, {
    signIn: () => account.signIn(),
    signOut: () => account.signOut(),
    score: async () => {
      await account.score(own.userId, 10);
      await askStanding();
    },
    rename: async (name) => panel.drawName(own.userId, (await account.rename(name)).name),
  });

function drawPanel() {
  panel?.draw(own, account.token !== null);
}

/** Shows `standing`, as far as the board does not know better; asks again when the board tells too little. */
function take(standing) {
  const known = withBoard(standing, top10);
  own = known.standing;
  drawPanel();
  if (known.asks) askSoon(PAUSE_MS);
}

function askSoon(ms) {
  clearTimeout(timer);
  timer = setTimeout(askStanding, Math.max(0, Math.min(ms, askedAt + ms - Date.now())));
}

async function askStanding() {
  if (!account.token || document.hidden) return;
  askedAt = Date.now();
  askSoon(STANDING_MS);
  try {
    const standing = await account.me();
    if (own === null) {
      view.own(standing.userId);
      panel.drawName(standing.userId, top10.find((row) => row.userId === standing.userId)?.name ?? null);
    }
    take(standing);
  } catch {
    // Away for now; the next turn asks again.
  }
}

function look() {
  feed.wake();
  if (own) askStanding();
}

document.addEventListener("visibilitychange", () => (document.hidden ? feed.hide() : look()));
addEventListener("online", look);
addEventListener("pagehide", () => feed.sleep());
addEventListener("pageshow", (event) => event.persisted && look());

feed.start();
if (document.hidden) feed.hide();
if (new URLSearchParams(location.search).has("state")) {
  const query = location.search;
  history.replaceState(null, "", location.pathname);
  account.finish(query).catch((error) => panel.complain(error.message));
}
