// Restate's handler: verifies the signature over the raw body, as the gateway does before its answer. Counts what is done.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(`${process.env.BENCH_MODULES}/`));
const restate = require("@restatedev/restate-sdk");
const key = Buffer.from(process.env.BENCH_SECRET.slice("whsec_".length), "base64");
let done = 0;

function verified(headers, raw) {
  const [id, at, signatures] = ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => headers.get(name));
  if (!id || !at || !signatures || Math.abs(Date.now() / 1000 - Number(at)) > 300) return false;
  const wanted = createHmac("sha256", key).update(`${id}.${at}.`).update(raw).digest();
  return signatures.split(" ").some((one) => {
    const given = Buffer.from(one.startsWith("v1,") ? one.slice(3) : "", "base64");
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  });
}

const bytes = { accept: "*/*", input: restate.serde.binary, output: restate.serde.binary };
const receive = async (context, raw) => {
  if (!verified(context.request().headers, raw)) throw new restate.TerminalError("bad signature", { errorCode: 401 });
  JSON.parse(Buffer.from(raw).toString());
  done += 1;
  return new Uint8Array();
};

restate.serve({
  services: [restate.service({ name: "hooks", handlers: { receive: restate.handlers.handler(bytes, receive) } })],
  port: Number(process.env.BENCH_SERVICE_PORT),
});
createServer((_, answer) => answer.end(JSON.stringify({ done }))).listen(Number(process.env.BENCH_DONE_PORT), "127.0.0.1");
