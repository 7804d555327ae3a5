"""What other systems of the site may follow: the ledger's stream becomes `ScoreChanged` events on a bus.

The application knows nothing of it. The event is documented by its schema, schemas/score-changed.json.
"""

from __future__ import annotations

import json
from pathlib import Path

from aws_cdk import Duration
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_eventschemas as eventschemas
from aws_cdk import aws_iam as iam
from aws_cdk import aws_pipes as pipes
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from settings import Settings

SOURCE, DETAIL_TYPE = "scoreboard", "ScoreChanged"
SCHEMA = Path(__file__).parent.parent / "schemas" / "score-changed.json"
#: New entries that changed a score. An entry whose personal data is swept away is changed, not new.
FILTER = {
    "eventName": ["INSERT"],
    "dynamodb": {"NewImage": {"increment": {"N": [{"anything-but": ["0"]}]}}},
}
#: Attribute of the ledger and its DynamoDB type, for every field of the event. The idempotency key is
#: left out on purpose: who has it can ask for the answer that was given to it.
FIELDS = {"userId": "S", "increment": "N", "newScore": "N", "version": "N", "kind": "S", "at": "N"}


class ScoreEvents(Construct):
    """Stream → pipe → bus; of what cannot be delivered a queue says where it is in the stream."""

    def __init__(self, scope: Construct, identifier: str, settings: Settings, ledger: dynamodb.Table) -> None:
        super().__init__(scope, identifier)
        self.bus = events.EventBus(self, "Bus", event_bus_name=settings.name)
        self.undelivered = sqs.Queue(
            self,
            "Undelivered",
            retention_period=Duration.days(14),
            enforce_ssl=True,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
        )
        role = iam.Role(self, "PipeRole", assumed_by=iam.ServicePrincipal("pipes.amazonaws.com"))
        reading = [
            f"dynamodb:{name}" for name in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
        ]
        role.add_to_policy(iam.PolicyStatement(actions=reading, resources=[str(ledger.table_stream_arn)]))
        self.bus.grant_put_events_to(role)
        self.undelivered.grant_send_messages(role)
        pipe = pipes.CfnPipe(
            self,
            "Pipe",
            name=settings.name,
            description="ledger entries that changed a score, as ScoreChanged events",
            role_arn=role.role_arn,
            source=str(ledger.table_stream_arn),
            source_parameters=pipes.CfnPipe.PipeSourceParametersProperty(
                dynamo_db_stream_parameters=pipes.CfnPipe.PipeSourceDynamoDBStreamParametersProperty(
                    starting_position="LATEST",
                    batch_size=10,
                    maximum_batching_window_in_seconds=1,
                    maximum_retry_attempts=20,
                    # Half of the time that the stream keeps a record: the other half is to read it by hand.
                    maximum_record_age_in_seconds=43_200,
                    on_partial_batch_item_failure="AUTOMATIC_BISECT",
                    dead_letter_config=pipes.CfnPipe.DeadLetterConfigProperty(arn=self.undelivered.queue_arn),
                ),
                filter_criteria=pipes.CfnPipe.FilterCriteriaProperty(
                    filters=[pipes.CfnPipe.FilterProperty(pattern=json.dumps(FILTER))]
                ),
            ),
            target=self.bus.event_bus_arn,
            target_parameters=pipes.CfnPipe.PipeTargetParametersProperty(
                event_bridge_event_bus_parameters=pipes.CfnPipe.PipeTargetEventBridgeEventBusParametersProperty(
                    source=SOURCE, detail_type=DETAIL_TYPE
                ),
                input_template=_input_template(),
            ),
        )
        pipe.node.add_dependency(role)  # its policies, too
        registry = eventschemas.CfnRegistry(self, "Registry", registry_name=settings.name)
        schema = eventschemas.CfnSchema(
            self,
            "Schema",
            registry_name=settings.name,
            schema_name=f"{SOURCE}@{DETAIL_TYPE}",
            type="JSONSchemaDraft4",
            content=SCHEMA.read_text(),
        )
        schema.add_resource_dependency(registry)


def _input_template() -> str:
    """The event's detail; in quotes, so that numbers stay the text that DynamoDB writes."""
    return json.dumps({name: f"<$.dynamodb.NewImage.{name}.{kind}>" for name, kind in FIELDS.items()})
