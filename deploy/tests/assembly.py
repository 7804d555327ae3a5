"""The synthesised templates, to be asked by type and property: never by the names that CDK generates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ACCOUNT = "123456789012"


class Assembly:
    """All stacks of one environment."""

    def __init__(self, folder: Path, region: str = "eu-central-1") -> None:
        self.folder = folder
        self.region = region
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self.stacks: dict[str, dict[str, Any]] = {
            path.name.removesuffix(".template.json"): json.loads(path.read_text())
            for path in sorted(folder.glob("*.template.json"))
        }

    def resources(self, kind: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """(stack, logical id, resource) of each resource of this type."""
        for stack, template in self.stacks.items():
            for identifier, resource in template["Resources"].items():
                if resource["Type"] == kind:
                    yield stack, identifier, resource

    def all(self, kind: str) -> list[dict[str, Any]]:
        """The properties of each resource of this type, with references made plain."""
        return [self.plain(stack, resource["Properties"]) for stack, _, resource in self.resources(kind)]

    def one(self, kind: str, **wanted: Any) -> dict[str, Any]:
        """The properties of the only resource of this type that has the `wanted` ones."""
        found = [each for each in self.all(kind) if wanted.items() <= each.items()]
        assert len(found) == 1, f"{len(found)} of {kind} with {wanted}"
        return found[0]

    def plain(self, stack: str, value: Any) -> Any:
        """`value` with CloudFormation's functions worked out, as far as that can be done without AWS."""
        if isinstance(value, list):
            return [self.plain(stack, each) for each in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function == "Ref":
                return self._referred(stack, argument)
            if function == "Fn::GetAtt":
                return self._attribute(stack, *argument)
            if function == "Fn::GetStackOutput":
                output = self.stacks[argument["StackName"]]["Outputs"][argument["OutputName"]]
                return self.plain(argument["StackName"], output["Value"])
            if function == "Fn::Join":
                return argument[0].join(str(self.plain(stack, part)) for part in argument[1])
        return {name: self.plain(stack, each) for name, each in value.items()}

    def _referred(self, stack: str, name: str) -> str:
        pseudo = {
            "AWS::Region": self.stack_region(stack),
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
        }
        if name in pseudo:
            return pseudo[name]
        resource = self.stacks[stack]["Resources"].get(name)
        if resource and resource["Type"] == "AWS::DynamoDB::Table":
            return str(resource["Properties"]["TableName"])
        if resource and resource["Type"] == "AWS::Cognito::UserPoolDomain":
            return str(self.plain(stack, resource["Properties"]["Domain"]))
        if resource and resource["Type"] == "AWS::Cognito::UserPool":
            return f"{self.region}_{name}"
        return name

    def _attribute(self, stack: str, name: str, attribute: str) -> str:
        resource = self.stacks[stack]["Resources"][name]
        if resource["Type"] == "AWS::DynamoDB::Table" and attribute == "Arn":
            return f"arn:aws:dynamodb:{self.region}:{ACCOUNT}:table/{resource['Properties']['TableName']}"
        return f"{name}.{attribute}"

    def stack_region(self, stack: str) -> str:
        environment: str = self.manifest["artifacts"][stack]["environment"]
        return environment.rsplit("/", 1)[1]

    # --- Tasks --------------------------------------------------------------------------------------

    def task(self, name: str) -> dict[str, Any]:
        """The task definition of the family that ends in `name`: web, admin, ranking, probe, release."""
        (found,) = [
            each for each in self.all("AWS::ECS::TaskDefinition") if each["Family"].endswith(f"-{name}")
        ]
        return found

    def container(self, name: str) -> dict[str, Any]:
        """The application's container in that task."""
        (found,) = [each for each in self.task(name)["ContainerDefinitions"] if each["Name"] == "app"]
        return dict(found)

    def environment(self, name: str) -> dict[str, str]:
        return {each["Name"]: each["Value"] for each in self.container(name)["Environment"]}

    def statements(self, name: str) -> list[dict[str, Any]]:
        """What the task's own role allows."""
        role = self.task(name)["TaskRoleArn"].removesuffix(".Arn")
        return [
            statement
            for policy in self.all("AWS::IAM::Policy")
            if role in policy["Roles"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]
