/** Wires the page: the feed brings boards, the view draws them. */

import { Feed, browserEnvironment } from "./feed.js";
import { View } from "./view.js";

const root = document.getElementById("scoreboard");
const view = new View(root);
const { socketPath, top10Url, revision, asOf } = root.dataset;
const feed = new Feed(
  {
    socketUrl: new URL(socketPath, location.href.replace(/^http/, "ws")).href,
    top10Url,
    revision: Number(revision),
    asOf: asOf || null,
    onBoard: (board) => view.drawBoard(board),
    onState: (state) => view.drawState(state),
  },
  browserEnvironment(),
);

document.addEventListener("visibilitychange", () => (document.hidden ? feed.hide() : feed.wake()));
addEventListener("online", () => feed.wake());
addEventListener("pagehide", () => feed.sleep());
addEventListener("pageshow", (event) => event.persisted && feed.wake());

feed.start();
if (document.hidden) feed.hide();
