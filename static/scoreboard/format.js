/** How values read. Pure. What the server renders first (scores/api/display.py) reads the same. */

const numbers = new Intl.NumberFormat("en");
const SHORT_ID = 12;
export const SILKS = 48;

/** 1234567 → "1,234,567" */
export function number(value) {
  return numbers.format(value);
}

/** What a player is called: the name, or a friendly label made of the id. */
export function label({ userId, name }) {
  return name ?? `Player ${shortId(userId)}`;
}

/** An id as people can bear it: whole up to 12 characters, else its first 8. */
export function shortId(userId) {
  return userId.length <= SHORT_ID ? userId : `${userId.slice(0, 8)}…`;
}

/** Which of the SILKS patterns a player wears: FNV-1a of the id, so that it is always the same. */
export function silk(userId) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < userId.length; i++) hash = Math.imul(hash ^ userId.charCodeAt(i), 0x01000193) >>> 0;
  return hash % SILKS;
}

/** Movement for the eye and for the ear. */
export function movement(moved) {
  if (moved === "new") return { kind: "new", mark: "new", words: "new on the board" };
  if (moved > 0) return { kind: "up", mark: `▲${moved}`, words: `up ${moved}` };
  if (moved < 0) return { kind: "down", mark: `▼${-moved}`, words: `down ${-moved}` };
  return { kind: "same", mark: "", words: "" };
}

/** An instant as a local time of day, with the date when it is not today. */
export function clock(iso, now = new Date()) {
  const then = new Date(iso);
  const time = then.toLocaleTimeString("en-GB");
  return then.toDateString() === now.toDateString() ? time : `${then.toLocaleDateString("en-GB")} ${time}`;
}

/** The connection in a few words, for the status line: `state` is a Feed's. */
export function status({ link, fresh, asOf, frozenAt }, online = true) {
  if (frozenAt) return { tone: "final", words: `Final since ${clock(frozenAt)}` };
  if (!online) return { tone: "stale", words: asOf ? `Offline since ${clock(asOf)}` : "Offline" };
  if (link === "unauthorized") return { tone: "stale", words: "This board is private" };
  if (link === "asleep") return { tone: "quiet", words: "Paused" };
  if (!fresh && asOf) return { tone: "stale", words: `Stale since ${clock(asOf)}` };
  if (link === "live") return { tone: "live", words: "Live" };
  if (link === "polling") return { tone: "live", words: "Live, every few seconds" };
  return { tone: "quiet", words: link === "connecting" ? "Connecting" : "Reconnecting" };
}

/** A player's own standing in one sentence: `standing` as GET /score/me answers it. */
export function standing({ score, rank, total, pointsToTop10 }) {
  const parts = [];
  if (rank !== null) parts.push(total === null ? `rank ${number(rank)}` : `rank ${number(rank)} of ${number(total)}`);
  if (rank === null || pointsToTop10 === 0) parts.push(score === 0 ? "no points yet" : points(score));
  if (pointsToTop10 > 0) parts.push(`${points(pointsToTop10)} to the Top 10`);
  return `You: ${parts.join(", ")}`;
}

function points(value) {
  return `${number(value)} ${value === 1 ? "point" : "points"}`;
}
