"""Names that the real-time rooms share: the group, the event, the close codes. Imports nothing of ours."""

#: Channel-layer group that every process's hub is in.
GROUP = "board"
#: Event that tells a hub to read the board: {"type": BOARD_UPDATED, "revision": int}.
BOARD_UPDATED = "board.updated"

# Close codes. "Come back" codes mean: reconnect, with backoff.
#: Come back: the server is going away (a deploy).
SERVICE_RESTART = 1012
#: Stay away: the token is missing, wrong or has expired; come back with a new one.
UNAUTHORIZED = 4401
#: Stay away: there is no socket at this path.
NOT_FOUND = 4404
