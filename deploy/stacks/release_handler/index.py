"""The function behind the custom resource `Custom::ScoreboardRelease` (see ../release.py)."""

import time

import boto3

WAIT_S = 780  # the function itself has 900
POLL_S = 5


def handler(event, context):
    """Run the tasks of a created or changed release; an exception fails the deployment."""
    if event["RequestType"] != "Delete":
        run_all(boto3.client("ecs"), event["ResourceProperties"], time.monotonic() + WAIT_S)
    return {"PhysicalResourceId": "release"}


def run_all(ecs, properties, deadline):
    for command in properties["Commands"]:
        run(ecs, properties, command, deadline)


def run(ecs, properties, command, deadline):
    """Run one command and wait for its end. RuntimeError unless it ends with exit code 0 in time."""
    words = " ".join(command)
    network = {
        "subnets": properties["Subnets"],
        "securityGroups": [properties["SecurityGroup"]],
        "assignPublicIp": "DISABLED",
    }
    started = ecs.run_task(
        cluster=properties["Cluster"],
        taskDefinition=properties["TaskDefinition"],
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": network},
        overrides={"containerOverrides": [{"name": "app", "command": ["python", "manage.py", *command]}]},
    )
    if started["failures"]:
        raise RuntimeError(f"`{words}` could not be started: {started['failures'][0].get('reason')}")
    arn = started["tasks"][0]["taskArn"]
    while time.monotonic() < deadline:
        task = ecs.describe_tasks(cluster=properties["Cluster"], tasks=[arn])["tasks"][0]
        if task["lastStatus"] == "STOPPED":
            app = next(container for container in task["containers"] if container["name"] == "app")
            if app.get("exitCode") == 0:
                return
            why = app.get("reason") or task.get("stoppedReason")
            code = app.get("exitCode")
            raise RuntimeError(f"`{words}` ended with exit code {code} ({why}): see the log of task {arn}")
        time.sleep(POLL_S)
    raise RuntimeError(f"`{words}` did not end in time: see the log stream of task {arn}")
