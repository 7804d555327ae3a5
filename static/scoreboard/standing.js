/** A player's own standing as the board moves on. Pure. */

const BOARD_SIZE = 10;

/**
 * `standing` (as GET /score/me answers it) corrected by a newer board. Off the board only the distance to it
 * follows from the board; `asks` says that the rest has to be asked for.
 */
export function withBoard(standing, top10) {
  const own = top10.find((row) => row.userId === standing.userId);
  if (own) {
    const total = standing.total === null ? null : Math.max(standing.total, own.rank);
    const first = standing.rank === null && standing.score === 0; // not among the `total` yet
    return { standing: { ...standing, score: own.score, rank: own.rank, total, pointsToTop10: 0 }, asks: first };
  }
  const full = top10.length >= BOARD_SIZE;
  const pointsToTop10 = full ? Math.max(0, top10[BOARD_SIZE - 1].score - standing.score + 1) : 0;
  const fallen = standing.rank !== null && standing.rank <= BOARD_SIZE;
  return { standing: { ...standing, pointsToTop10 }, asks: fallen };
}
