// The usual way on Node: Express, UpdateItem ADD, a query of a leaderboard index, Redis as cache and as
// socket.io's adapter. As careful as good examples of it are: the answer waits for the table only,
// whatever happens to Redis is logged, and clients connect again by themselves.
//   node express.mjs PORT   (DYNAMODB_ENDPOINT_URL, REDIS_URL, JWKS_FILE, ISSUER in the environment)
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { CreateTableCommand, DynamoDBClient, ResourceInUseException } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient, QueryCommand, UpdateCommand } from "@aws-sdk/lib-dynamodb";
import { createAdapter } from "@socket.io/redis-adapter";
import express from "express";
import { createLocalJWKSet, jwtVerify } from "jose";
import { createClient } from "redis";
import { Server } from "socket.io";

const TABLE = "SeedScores";
const BOARD = "SCOREBOARD";
const ID = /^[A-Za-z0-9_.:@-]{1,128}$/;
const { DYNAMODB_ENDPOINT_URL, REDIS_URL, JWKS_FILE, ISSUER } = process.env;

const dynamodb = new DynamoDBClient({
  endpoint: DYNAMODB_ENDPOINT_URL,
  region: "us-east-1",
  credentials: { accessKeyId: "local", secretAccessKey: "local" },
});
const documents = DynamoDBDocumentClient.from(dynamodb);
const keys = createLocalJWKSet(JSON.parse(readFileSync(JWKS_FILE, "utf8")));

const redisClient = async (options) => {
  const client = createClient({ url: REDIS_URL, ...options });
  client.on("error", (error) => console.error("redis:", error.code ?? error.message));
  return client.connect();
};
// Without a queue the cache fails at once while Redis is away, and the answer does not wait for it.
const cache = await redisClient({ disableOfflineQueue: true });
const publisher = await redisClient();
const subscriber = await redisClient();
// The adapter does not catch a publication that fails.
process.on("unhandledRejection", (error) => console.error("unhandled:", error?.message));

const app = express();
const server = createServer(app);
const io = new Server(server, { adapter: createAdapter(publisher, subscriber), transports: ["websocket"] });

const createTable = async () => {
  try {
    await dynamodb.send(
      new CreateTableCommand({
        TableName: TABLE,
        BillingMode: "PAY_PER_REQUEST",
        AttributeDefinitions: [
          { AttributeName: "userId", AttributeType: "S" },
          { AttributeName: "board", AttributeType: "S" },
          { AttributeName: "score", AttributeType: "N" },
        ],
        KeySchema: [{ AttributeName: "userId", KeyType: "HASH" }],
        GlobalSecondaryIndexes: [
          {
            IndexName: "Leaderboard",
            KeySchema: [
              { AttributeName: "board", KeyType: "HASH" },
              { AttributeName: "score", KeyType: "RANGE" },
            ],
            Projection: { ProjectionType: "ALL" },
          },
        ],
      }),
    );
  } catch (error) {
    if (!(error instanceof ResourceInUseException)) throw error;
  }
};

const queryTop10 = async () => {
  const { Items } = await documents.send(
    new QueryCommand({
      TableName: TABLE,
      IndexName: "Leaderboard",
      KeyConditionExpression: "board = :board",
      ExpressionAttributeValues: { ":board": BOARD },
      ScanIndexForward: false,
      Limit: 10,
    }),
  );
  return Items.map(({ userId, score }, place) => ({ rank: place + 1, userId, name: null, score }));
};

const makeBoard = (top10) => ({ revision: Date.now() * 1000, top10 });

const currentTop10 = async () => {
  try {
    const cached = await cache.get("top10");
    if (cached) return JSON.parse(cached);
  } catch (error) {
    console.error("cache:", error.message);
  }
  return queryTop10();
};

const publishTop10 = async () => {
  const top10 = await queryTop10();
  io.emit("board", makeBoard(top10));
  await cache.set("top10", JSON.stringify(top10));
};

const authenticate = async (request, response, next) => {
  try {
    const token = request.headers.authorization?.replace(/^Bearer /, "") ?? "";
    const { payload } = await jwtVerify(token, keys, { issuer: ISSUER, algorithms: ["RS256"] });
    request.caller = payload;
    next();
  } catch {
    response.status(401).json({ code: "unauthorized" });
  }
};

app.get("/readyz", (request, response) => response.json({ status: "ready" }));
app.get("/score/top10", async (request, response) => response.json(await currentTop10()));
app.post("/score/update", authenticate, express.json(), async (request, response) => {
  const { userId, increment } = request.body;
  if (!ID.test(userId) || !Number.isInteger(increment) || increment < 1) {
    return response.status(400).json({ code: "invalid" });
  }
  const { sub, scope = "" } = request.caller;
  if (userId !== sub && !scope.split(" ").includes("scoreboard/score.write")) {
    return response.status(403).json({ code: "forbidden" });
  }
  const { Attributes } = await documents.send(
    new UpdateCommand({
      TableName: TABLE,
      Key: { userId },
      UpdateExpression: "SET board = :board ADD score :increment",
      ExpressionAttributeValues: { ":board": BOARD, ":increment": increment },
      ReturnValues: "UPDATED_NEW",
    }),
  );
  response.json({ status: "success", newScore: Attributes.score });
  publishTop10().catch((error) => console.error("publish:", error.message));
});
app.use((error, request, response, next) => {
  console.error(error.name);
  response.status(error.status ?? 503).set("Retry-After", "1").json({ code: "unavailable" });
});

io.on("connection", async (socket) => {
  const top10 = await currentTop10().catch(() => null);
  if (top10) socket.emit("board", makeBoard(top10));
});

await createTable();
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
