"""Names that the real-time rooms share: the path, the group, the event, the close codes.

Imports nothing of ours.
"""

#: Where the socket is.
SOCKET_PATH = "/ws/scoreboard"
#: Channel-layer group that every process's hub is in.
GROUP = "board"
#: Event that tells a hub to read the board: {"type": BOARD_UPDATED, "revision": int}.
BOARD_UPDATED = "board.updated"

# Close codes. "Come back" codes mean: reconnect, with backoff. 1002 (a broken frame) and 1009 (a frame
# or message over 1 KiB) are RFC 6455's own.
#: Come back: the server is going away (a deploy).
SERVICE_RESTART = 1012
#: Stay away: the token is missing, wrong or has expired; come back with a new one.
UNAUTHORIZED = 4401
#: Stay away: there is no socket at this path.
NOT_FOUND = 4404
#: Come back: this viewer did not take what it was sent for 30 s.
BEHIND = 4408
#: Come back: no pong came within 30 s of a ping.
NO_PONG = 4410
#: Come back later: tokens cannot be checked right now.
NOT_NOW = 4503
#: Come back later: this viewer sent too much. Viewers have nothing to say.
TOO_MANY_MESSAGES = 4429
