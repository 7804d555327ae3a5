"""`make smoke URL=https://board.example.com`: does a deployed scoreboard work, from the outside?

Signs in, raises a score, and checks everything between a visitor and the application. One line
for each check; the exit status is 0 when all are well, 1 when one is not, 2 when it could not begin.
"""

from __future__ import annotations

import os
import sys
import time
from http.client import HTTPException

from websockets.exceptions import WebSocketException

from tools.devstack.console import say
from tools.devstack.errors import StackError
from tools.smoke import checks
from tools.smoke.site import Failed, site_of

HOW = """\
  URL                 the address of the page, as visitors have it
  SMOKE_TOKEN         an access token; or instead of it
  SMOKE_TOKEN_URL, SMOKE_CLIENT_ID, SMOKE_CLIENT_SECRET
                      the pool's token endpoint (https://…/oauth2/token) and a machine client
  SMOKE_USER          whose score is raised by one point; a token without the scope
                      scoreboard/score.write raises its own subject's (default: smoke-test)
"""


def main() -> int:
    """Run all checks with what the environment says; the exit status."""
    try:
        site = site_of(os.environ)
    except StackError as error:
        say(f"error: {error}\n{HOW}")
        return 2
    failures = 0
    for check in checks.IN_ORDER:
        name = check.__name__.replace("_", " ")
        began = time.monotonic()
        try:
            finding, well = check(site), True
        except Failed as failed:
            finding, well = str(failed), False
        except (HTTPException, WebSocketException, OSError, ValueError, KeyError) as error:
            finding, well = f"{type(error).__name__}: {error}", False
        failures += not well
        took = (time.monotonic() - began) * 1000
        print(f"{'ok  ' if well else 'FAIL'}  {name:<24} {finding} ({took:.0f} ms)", flush=True)
    site.close()
    count = len(checks.IN_ORDER)
    print(
        f"{site.url}: {f'{failures} of {count} checks failed' if failures else f'{count} checks, all well'}"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
