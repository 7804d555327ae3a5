"""The verbs of `python3 -m tools`: the packages each needs, and the module it runs."""

import argparse
import errno
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.devstack.console import say
from tools.devstack.errors import StackError
from tools.devstack.install import packages
from tools.devstack.install.files import ROOT, mark_used
from tools.devstack.install.programs import check_platform
from tools.devstack.processes import children
from tools.devstack.processes.environment import for_parts

# The tests start stores of their own. A store that the shell names must not reach them.
STORE_VARIABLES = {"PORT", "DATA_DIR", "DYNAMODB_ENDPOINT_URL", "REDIS_URL", "DATABASE_URL"}
#: How the whole suite runs: on a worker more than there are cores, as tests also wait.
WHOLE_SUITE = ["-n", str(min(6, (os.cpu_count() or 1) + 1)), "--durations=10", "--durations-min=1"]
#: Verbs that are a module of their own: what to run, and the help text.
MODULES = {
    "bench-start": ("tools.benchmarks.first_start", "measure the first `make run` and its downloads"),
    "bench-path": ("tools.benchmarks.update_path", "measure an update from the POST to the pages"),
    "bench-fanout": (
        "tools.benchmarks.fanout",
        "measure fan-out to many sockets, next to other servers",
    ),
    "bench-neighbours": (
        "tools.benchmarks.neighbours",
        "measure how viewers slow down each other and HTTP requests",
    ),
    "bench-frames": ("tools.benchmarks.frames", "measure the frame rate of the page"),
    "bench-ranks": ("tools.benchmarks.ranks", "measure ranks among a million players"),
    "faults": ("tools.faults", "run every fault scenario on real stores and processes"),
    "soak": ("tools.faults.soak", "run at half load with random faults, and check that nothing grows"),
    "bench-growth": ("tools.research.growth", "measure how costs grow with players, viewers and updates"),
    "bench-rivals": (
        "tools.research.rivals",
        "compare with Express + socket.io and plain Channels",
    ),
    "simulate": (
        "tools.research.simulation",
        "simulate DynamoDB's partitions and ten million viewers",
    ),
    "load": ("tools.benchmarks.load", "simulate many players and viewers with locust"),
    "screenshots": ("tools.devstack.screenshots", "take the README's pictures of a running demo"),
    "smoke": ("tools.smoke", "check the deployed scoreboard at URL over HTTP"),
    "costs": ("tools.research.costs", "compute the costs on AWS from list prices: docs/costs.md"),
    "audit": (
        "tools.devstack.install.audit",
        "look up known vulnerabilities of the locked packages",
    ),
    "lock": (
        "tools.devstack.install.lock",
        "pin every package with its hashes, after a change of requirements*.txt",
    ),
}
AWS_VERBS = {
    "synth": "make and check the CloudFormation templates; needs neither an account nor a network",
    "deploy": "deploy to AWS, or update a deployment",
    "diff": "show what a deployment would change",
    "destroy": "remove a deployment; asks first",
}
#: Verbs that need the development tools.
DEV_VERBS = {"test", "check", "lint", *MODULES} - {"smoke"}


def main(arguments: Sequence[str]) -> int:
    """Run one verb; its exit code. An error is one line."""
    options = parser().parse_args(arguments)
    try:
        return _main(options, arguments)
    except StackError as error:
        say(f"error: {error}")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM):
            raise
        say(f"error: {error.strerror}" + (f": {error.filename}" if error.filename else ""))
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    return 1


def _main(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    verb: str = options.verb
    if verb == "clean":
        from tools.devstack.clean import clean

        return clean(data_folder(options.data_dir))
    if verb == "run" and options.stop_with:
        children.stop_with(options.stop_with)  # an installation, too
    if _starts_stores(verb):
        check_platform()  # before minutes are spent on packages
    packages.ensure("test" if verb in DEV_VERBS else "run")
    if Path(sys.prefix).resolve() != packages.VENV.resolve():
        children.guard.close()
        command = [str(packages.PYTHON), "-m", "tools", *arguments]
        os.execve(command[0], command, _environment_for(options))
    mark_used(packages.VENV)
    os.environ.update(_environment_for(options))
    return VERBS[verb](options)


def _starts_stores(verb: str) -> bool:
    """Whether this verb starts a store: `test` always, `run` unless the shell names both."""
    given = os.environ.get("DYNAMODB_ENDPOINT_URL") and os.environ.get("REDIS_URL")
    return verb == "test" or (verb == "run" and not given)


def _environment_for(options: argparse.Namespace) -> dict[str, str]:
    """Our environment with PORT and DATA_DIR, and with this checkout importable from any folder."""
    given = {"PORT": str(options.port), "DATA_DIR": str(data_folder(options.data_dir))}
    return {**os.environ, **given, "PYTHONPATH": str(ROOT)}


def data_folder(text: str) -> Path:
    return Path(text).expanduser().absolute()


def parser() -> argparse.ArgumentParser:
    """Options of all verbs; PORT and DATA_DIR of the environment are the defaults."""
    parser = argparse.ArgumentParser("python3 -m tools", description="The developer stack of the scoreboard.")
    parser.add_argument("--port", type=port_number, default=os.environ.get("PORT") or "8000")
    parser.add_argument("--data-dir", default=os.environ.get("DATA_DIR") or ".local")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verb")
    run = verbs.add_parser("run", help="start everything and show the page's address; Ctrl-C stops")
    run.add_argument("--demo", action="store_true", help="with simulated players, in data of their own")
    run.add_argument(
        "--stop-with", type=int, metavar="PID", help="stop when this process, our parent, is gone"
    )
    test = verbs.add_parser("test", help="lint, then the whole test suite")
    test.add_argument("--args", default="", help="arguments for pytest, in one string")
    verbs.add_parser("check", help="lint, then the tests that need no store and no second")
    verbs.add_parser("lint", help="ruff and mypy")
    token = verbs.add_parser("token", help="print an access token of the local issuer")
    token.add_argument("--user", required=True)
    token.add_argument("--scope")
    verbs.add_parser("verify", help="check every ledger against its player")
    for name, (_, text) in MODULES.items():
        module = verbs.add_parser(name, help=text)
        module.add_argument(
            "--args", default="", help='its own arguments, in one string ("--help" lists them)'
        )
    for name, text in AWS_VERBS.items():
        aws = verbs.add_parser(name, help=text)
        aws.add_argument(
            "--set", action="append", default=[], type=setting, metavar="NAME=VALUE", dest="given"
        )
        aws.add_argument("--yes", action="store_true", help="do not ask before rights are changed")
    verbs.add_parser("clean", help="remove .venv and caches; asks before it removes data")
    return parser


def setting(text: str) -> tuple[str, str]:
    """`NAME=value` as a setting of the deployment (deploy/settings.py)."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=value")
    return name.lower(), value


def port_number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port number (1 to 65535)")
    return int(text)


def run(options: argparse.Namespace) -> int:
    from tools.devstack.run import run_stack

    return run_stack(
        data_dir=data_folder(options.data_dir),
        port=options.port,
        demo=options.demo,
    )


def lint(_: argparse.Namespace) -> int:
    commands = (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy", "."])
    return max(_call("-m", *command) for command in commands)


def test(options: argparse.Namespace) -> int:
    from tools.devstack.install.dynamodb_local import dynamodb_folder
    from tools.devstack.install.programs import find_java, find_valkey

    for name in STORE_VARIABLES:
        os.environ.pop(name, None)
    dynamodb_folder(), find_java(), find_valkey()
    found = lint(options)
    given = shlex.split(options.args)
    return _call("-m", "pytest", *([] if chooses(given) else WHOLE_SUITE), *given) or found


def chooses(arguments: Sequence[str]) -> bool:
    """Whether these arguments of pytest choose some of the tests, or say themselves how many workers run."""
    short = ("-k", "-m", "-n", "-p", "--lf", "--last-failed", "--ff", "--failed-first", "--pdb", "--co")
    return any(word.startswith(short) or (ROOT / word.partition("::")[0]).exists() for word in arguments)


def check(options: argparse.Namespace) -> int:
    found = lint(options)
    return _call("-m", "pytest", "--unit", "-n", "2", "-q") or found


def token(options: argparse.Namespace) -> int:
    scope = ["--scope", options.scope] if options.scope else []
    return _manage("token", "--user", options.user, *scope)


def verify(options: argparse.Namespace) -> int:
    running = data_folder(options.data_dir) / "stack.env"
    if not running.exists() and not os.environ.get("DYNAMODB_ENDPOINT_URL"):
        raise StackError(
            "nothing runs on this data folder: start `make run` first, or set DYNAMODB_ENDPOINT_URL"
        )
    return _manage("verify_ledger")


def module(options: argparse.Namespace) -> int:
    return _call("-m", MODULES[options.verb][0], *shlex.split(options.args))


def aws(options: argparse.Namespace) -> int:
    from tools.devstack import deploying

    context: dict[str, str] = dict(options.given)
    if options.verb == "synth":
        return deploying.synth(context, data_folder(options.data_dir))
    extra = ["--require-approval", "never"] if options.yes and options.verb == "deploy" else []
    return deploying.cdk(options.verb, context, extra)


def _manage(*arguments: str) -> int:
    env = for_parts(os.environ) | {name: os.environ[name] for name in ("DATA_DIR", "PORT")}
    return subprocess.call([sys.executable, "manage.py", *arguments], cwd=ROOT, env=env)


def _call(*arguments: str) -> int:
    return subprocess.call([sys.executable, *arguments], cwd=ROOT)


VERBS = {
    "run": run,
    "test": test,
    "check": check,
    "lint": lint,
    "token": token,
    "verify": verify,
    **dict.fromkeys(MODULES, module),
    **dict.fromkeys(AWS_VERBS, aws),
}
