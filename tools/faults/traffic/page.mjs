/**
 * Viewers that are the page's own: its feed (static/scoreboard/feed.js) with a real network.
 *
 *     node page.mjs ORIGIN...      one viewer for each origin
 *
 * Prints JSON lines: {"viewer", "board": {revision, rows, stale}} for each board it shows, {"viewer", "link", "fresh"}
 * for each change of state, {"viewer", "socket", "revision"} for each board that came over its n-th socket, and
 * {"viewer", "socket", "closed": code}.
 */

import { Feed, browserEnvironment } from "../../../static/scoreboard/feed.js";

process.argv.slice(2).forEach((origin, viewer) => {
  const say = (message) => process.stdout.write(`${JSON.stringify({ viewer, ...message })}\n`);
  let sockets = 0;
  const environment = {
    ...browserEnvironment(),
    socket: (url) => {
      const opened = new WebSocket(url);
      const socket = sockets++;
      opened.addEventListener("message", ({ data }) => {
        const { type, revision } = JSON.parse(data);
        if (type === "board") say({ socket, revision });
      });
      opened.addEventListener("close", ({ code }) => say({ socket, closed: code }));
      return opened;
    },
  };
  const feed = new Feed(
    {
      socketUrl: `${origin.replace("http", "ws")}/ws/scoreboard`,
      top10Url: `${origin}/score/top10`,
      onBoard: ({ revision, top10, stale }) => {
        const rows = top10.map(({ userId, name, score }) => [userId, name, score]);
        say({ board: { revision, rows, stale } });
      },
      onState: ({ link, fresh }) => say({ link, fresh }),
    },
    environment,
  );
  feed.start();
});
