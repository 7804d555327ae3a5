"""The plain way with Channels: DRF, PynamoDB's `update(score.add(n))`, and a group member for every socket.

    python -m daphne -p PORT tools.benchmarks.servers.plain_channels:application

Environment: DYNAMODB_ENDPOINT_URL, REDIS_URL, JWKS_FILE, ISSUER. As careful as good examples of it are:
Redis' failures are logged and do not fail the request. The pub/sub layer is used, because with this
version of redis-py the older one loses idle sockets after five seconds.
"""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import Any

import django
import jwt
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    INSTALLED_APPS=["channels", "rest_framework"],
    ROOT_URLCONF="tools.benchmarks.servers.plain_channels",
    REST_FRAMEWORK={
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
        "UNAUTHENTICATED_USER": None,
    },
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": os.environ["REDIS_URL"],
        }
    },
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [os.environ["REDIS_URL"]], "prefix": "plain"},
        }
    },
)
django.setup()

from asgiref.sync import async_to_sync, sync_to_async  # noqa: E402
from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.cache import cache  # noqa: E402
from django.urls import path  # noqa: E402
from pynamodb.attributes import NumberAttribute, UnicodeAttribute  # noqa: E402
from pynamodb.exceptions import PynamoDBException  # noqa: E402
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex  # noqa: E402
from pynamodb.models import Model  # noqa: E402
from rest_framework import exceptions, serializers  # noqa: E402
from rest_framework.authentication import BaseAuthentication  # noqa: E402
from rest_framework.permissions import BasePermission  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

logger = logging.getLogger(__name__)

BOARD = "SCOREBOARD"
KEYS = jwt.PyJWKSet.from_dict(json.loads(Path(os.environ["JWKS_FILE"]).read_text()))

Top10 = list[dict[str, Any]]


class _Meta:
    host = os.environ["DYNAMODB_ENDPOINT_URL"]
    region = "us-east-1"
    aws_access_key_id = aws_secret_access_key = "local"
    billing_mode = "PAY_PER_REQUEST"


class Leaderboard(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "Leaderboard"
        projection = AllProjection()

    board = UnicodeAttribute(hash_key=True)
    score = NumberAttribute(range_key=True)


class Score(Model):
    class Meta(_Meta):
        table_name = "PlainScores"

    user_id = UnicodeAttribute(hash_key=True, attr_name="userId")
    board = UnicodeAttribute()
    score = NumberAttribute()
    leaderboard = Leaderboard()


def query_top10() -> Top10:
    players = Score.leaderboard.query(BOARD, scan_index_forward=False, limit=10)
    return [
        {"rank": rank, "userId": player.user_id, "name": None, "score": int(player.score)}
        for rank, player in enumerate(players, start=1)
    ]


def current_top10() -> Top10:
    try:
        cached: Top10 | None = cache.get("top10")
    except Exception:
        logger.exception("cache")
        cached = None
    return query_top10() if cached is None else cached


def text_of(top10: Top10) -> str:
    board = {"type": "board", "revision": time.time_ns() // 1000, "top10": top10}
    return json.dumps(board, separators=(",", ":"))


def publish_top10() -> None:
    try:
        top10 = query_top10()
        cache.set("top10", top10)
        layer = get_channel_layer()
        async_to_sync(layer.group_send)("board", {"type": "board.updated", "text": text_of(top10)})
    except Exception:
        logger.exception("publish")


class TokenAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[dict[str, Any], None]:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            key = KEYS[jwt.get_unverified_header(token)["kid"]].key
            claims = jwt.decode(token, key, algorithms=["RS256"], issuer=os.environ["ISSUER"])
        except (jwt.PyJWTError, KeyError) as error:
            raise exceptions.AuthenticationFailed from error
        return claims, None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class MayWrite(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:
        claims: Any = request.user
        update: Any = request.data
        server = "scoreboard/score.write" in claims.get("scope", "").split()
        return server or update.get("userId") == claims["sub"]


class UpdateSerializer(serializers.Serializer[Any]):
    userId = serializers.RegexField(r"^[A-Za-z0-9_.:@-]{1,128}$")  # noqa: N815 - as in the JSON
    increment = serializers.IntegerField(min_value=1)


class UpdateScore(APIView):
    authentication_classes = [TokenAuthentication]
    permission_classes = [MayWrite]

    def post(self, request: Request) -> Response:
        update = UpdateSerializer(data=request.data)
        update.is_valid(raise_exception=True)
        player = Score(update.validated_data["userId"])
        try:
            player.update([Score.board.set(BOARD), Score.score.add(update.validated_data["increment"])])
        except PynamoDBException:
            logger.exception("update")
            return Response({"code": "unavailable"}, status=503, headers={"Retry-After": "1"})
        publish_top10()
        return Response({"status": "success", "newScore": int(player.score)})


class ShowTop10(APIView):
    def get(self, request: Request) -> Response:
        return Response(current_top10())


class Ready(APIView):
    def get(self, request: Request) -> Response:
        return Response({"status": "ready"})


class Viewer(AsyncWebsocketConsumer):  # type: ignore[misc]
    async def connect(self) -> None:
        await self.channel_layer.group_add("board", self.channel_name)
        await self.accept()
        await self.send(text_data=text_of(await sync_to_async(current_top10)()))

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard("board", self.channel_name)

    async def board_updated(self, event: dict[str, str]) -> None:
        await self.send(text_data=event["text"])


urlpatterns = [
    path("score/update", UpdateScore.as_view()),
    path("score/top10", ShowTop10.as_view()),
    path("readyz", Ready.as_view()),
]
if not Score.exists():
    Score.create_table(wait=True)
application = ProtocolTypeRouter(
    {"http": get_asgi_application(), "websocket": URLRouter([path("ws/scoreboard", Viewer.as_asgi())])}
)
