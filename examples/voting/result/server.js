// Shows how many voters chose what, with a connection to PostgreSQL for each request.
"use strict";
const http = require("http");
const { Client } = require("pg");

async function counts() {
  const client = new Client();
  client.on("error", () => {});
  await client.connect();
  try {
    const { rows } = await client.query("select vote, count(*)::int from votes group by vote order by vote");
    return Object.fromEntries(rows.map(({ vote, count }) => [vote, count]));
  } finally {
    client.end().catch(() => {});
  }
}

const server = http.createServer(async (request, response) => {
  try {
    const body = JSON.stringify(await counts());
    response.setHeader("content-type", "application/json");
    response.end(body + "\n");
  } catch (error) {
    response.statusCode = 500;
    response.end(error + "\n");
  }
});
server.listen(8000);
process.on("SIGTERM", () => server.close());
