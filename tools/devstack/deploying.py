"""The verbs that concern AWS: `synth` makes the CloudFormation templates, the others run the CDK.

The CDK weighs 600 MB and is never imported by the application: it lives in an environment of its own in
the user's cache. Making templates needs neither an account nor, once that is installed, a network.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.devstack.console import say
from tools.devstack.errors import StackError
from tools.devstack.install.dev_programs import find_node, python_environment
from tools.devstack.install.files import ROOT
from tools.devstack.processes import children

DEPLOY = ROOT / "deploy"
PINS = DEPLOY / "requirements.lock"
#: The command line of the CDK; that of npm's `latest` does not know the library's format.
CDK_CLI = "aws-cdk@2.1148.1"
#: Settings that a deployment needs, with the values that `synth` uses by default.
EXAMPLE = {
    "environment": "dev",
    "domain": "board.example.com",
    "zone_id": "Z0123456789ABC",
    "zone_name": "example.com",
    "region": "eu-central-1",
    "alarm_email": "operations@example.com",
}


def tools() -> Path:
    """The folder of the programs of the deployment's environment, installed if need be."""
    return python_environment("deploy", 900, PINS) / "bin"


def synthesize(out: Path, context: Mapping[str, str], *, prefix: Sequence[str] = ()) -> str:
    """Make the templates in the folder `out`; what was printed.

    `prefix` is a command to run it under. StackError with the findings when there are any.
    """
    shutil.rmtree(out, ignore_errors=True)
    values = {**json.loads((DEPLOY / "cdk.json").read_text())["context"], **context}
    env = environment() | {"CDK_OUTDIR": str(out), "CDK_CONTEXT_JSON": json.dumps(values)}
    code, output = children.run([*prefix, str(tools() / "python"), "app.py"], cwd=DEPLOY, env=env)
    if code != 0:
        raise StackError(f"the templates are not as they should be:\n{output}")
    return output


def environment() -> dict[str, str]:
    """The shell's, with the tools and a Node.js in front of the PATH.

    Bytecode goes to a folder of its own: it must not be in the checkout, and without it a synthesis
    compiles the CDK's 4,000 modules anew.
    """
    node = Path(find_node()[0]).parent
    path = os.pathsep.join([str(tools()), str(node), os.environ.get("PATH", os.defpath)])
    quiet = {"JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1"}
    bytecode = {"PYTHONPYCACHEPREFIX": str(tools().parent / "bytecode")}
    others = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")
    env = {name: value for name, value in os.environ.items() if name not in others}
    return env | {"PATH": path} | quiet | bytecode


def synth(context: Mapping[str, str], data_dir: Path) -> int:
    """Make the templates of both environments and check them; 0 when nothing was found."""
    for name in ("dev", "prod"):
        out = data_dir / "cdk.out" / name
        synthesize(out, {**EXAMPLE, **context, "environment": name})
        templates = sorted(str(path) for path in out.glob("*.template.json"))
        checked = subprocess.call([str(tools() / "cfn-lint"), *templates], cwd=DEPLOY, env=environment())
        if checked != 0:
            return checked
        say(f"{name}: {len(templates)} stacks in {out}; cdk-nag and cfn-lint found nothing")
    return 0


def cdk(verb: str, context: Mapping[str, str], extra: Sequence[str]) -> int:
    """`cdk deploy`, `diff` or `destroy` of all stacks, with the account of the shell's credentials."""
    missing = [name for name in EXAMPLE if not context.get(name)]
    if missing:
        raise StackError(f"say {', '.join(name.upper() for name in missing)} (docs/deploy.md)")
    npx = shutil.which("npx")
    if not npx:
        raise StackError("Node.js with npx is needed for the CDK's command line: https://nodejs.org")
    values = [part for name, value in context.items() for part in ("--context", f"{name}={value}")]
    command = [npx, "--yes", CDK_CLI, verb, "--all", *values, *extra]
    return subprocess.call(command, cwd=DEPLOY, env=environment())
