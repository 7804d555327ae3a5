// The same as driver.py, for Node.
"use strict";

const rows = Array.from({ length: 10 }, (_, i) => ({
  rank: i + 1,
  userId: `USER-${String(i + 1).padStart(6, "0")}`,
  name: null,
  score: 987654321 - i - 1,
}));

const nowUs = () => Math.floor((performance.timeOrigin + performance.now()) * 1000);

exports.board = () => ({ type: "board", revision: nowUs(), asOf: "2026-01-01T00:00:00.000Z", top10: rows });

/** Obey standard input; `publish` makes a board and sends it to everybody. */
exports.drive = (publish) => {
  require("node:readline")
    .createInterface({ input: process.stdin })
    .on("close", () => process.exit(0))
    .on("line", (line) => {
      const [, seconds, interval] = line.split(" ").map(Number);
      const began = performance.now();
      let boards = 0;
      const step = () => {
        if (performance.now() - began >= seconds * 1000) {
          console.log(`done ${boards}`);
          return;
        }
        publish();
        boards += 1;
        if (interval) setTimeout(step, Math.max(0, began + boards * interval - performance.now()));
        else setImmediate(step);
      };
      step();
    });
};
