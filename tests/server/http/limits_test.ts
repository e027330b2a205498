import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createRoute, z } from "@hono/zod-openapi";
import { Hono, type MiddlewareHandler } from "hono";
import { ApiError } from "../../../src/server/api_error.ts";
import { createServer } from "../../../src/server/http/app.ts";
import { limitBody } from "../../../src/server/http/middleware/body.ts";
import type { ServerEnv } from "../../../src/server/http/middleware/context.ts";
import { RateLimiter } from "../../../src/server/http/middleware/limiter.ts";
import { concurrencyLimit, rateLimit } from "../../../src/server/http/middleware/rate_limit.ts";
import { testServices } from "../support_services.ts";

/** An app with one middleware, which echoes the request. */
function appWith(middleware: MiddlewareHandler<ServerEnv>) {
  const app = new Hono<ServerEnv>();
  app.use(middleware);
  app.all("*", async (context) => {
    const text = await context.req.text();
    return context.json({ text });
  });
  app.onError((error) => {
    if (error instanceof ApiError) return error.toResponse();
    throw error;
  });
  return app;
}

const bodyLimits = {
  maxBytes: 1024,
  timeoutMs: 10_000,
  isUpload: (path: string) => path === "/up",
};
const JSON_TYPE = { "content-type": "application/json" };

async function post(body: BodyInit | null, headers: HeadersInit = JSON_TYPE, path = "/") {
  const app = appWith(limitBody(bodyLimits));
  const answer = await app.request(path, { method: "POST", body, headers });
  return { status: answer.status, ...await answer.json() };
}

Deno.test("a body of JSON comes through as it was", async () => {
  for (const type of ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"]) {
    assertEquals(await post('{"a":1}', { "content-type": type }), { status: 200, text: '{"a":1}' });
  }
  assertEquals(await post(null, {}), { status: 200, text: "" });
});

Deno.test("another type of body is 415, and named", async () => {
  for (
    const type of ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "json"]
  ) {
    const { status, error } = await post("{}", { "content-type": type });
    assertEquals([status, error.code], [415, "unsupported_content_type"]);
    assertStringIncludes(error.message, type);
  }
  const untyped = await post(new Blob(["{}"]).stream(), {});
  assertEquals(untyped.status, 415);
  assertStringIncludes(untyped.error.message, "no content type");
});

Deno.test("a body that is too large is 413, by what it says and by what comes", async () => {
  const full = `"${"x".repeat(1022)}"`;
  assertEquals((await post(full)).status, 200);
  assertEquals((await post(`${full} `)).error.code, "request_too_large");
  const declared = await post("{}", { ...JSON_TYPE, "content-length": "1025" });
  assertEquals(declared.status, 413);
  assertStringIncludes(declared.error.message, "1 KiB");
});

Deno.test("a body without an end is cut off where it is too large", async () => {
  let sent = 0, cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.enqueue(new Uint8Array(100).fill(0x20));
      sent += 100;
    },
    cancel: () => void (cancelled = true),
  });
  assertEquals((await post(endless)).status, 413);
  assert(cancelled && sent < 2000, `${sent} bytes were read`);
});

Deno.test("a body that does not come in time is 408", async () => {
  const app = appWith(limitBody({ ...bodyLimits, timeoutMs: 50 }));
  let trickle: ReturnType<typeof setInterval>;
  const slow = new ReadableStream<Uint8Array>({
    start(controller) {
      trickle = setInterval(() => controller.enqueue(new Uint8Array([0x20])), 10);
    },
    cancel: () => clearInterval(trickle),
  });
  const answer = await app.request("/", { method: "POST", body: slow, headers: JSON_TYPE });
  assertEquals(answer.status, 408);
  assertEquals((await answer.json()).error.code, "request_timeout");
});

Deno.test("what is nested too deeply is refused before it is parsed", async () => {
  for (const [open, close] of [["[", "]"], ['{"a":', "}"]]) {
    const nested = (levels: number) => open.repeat(levels) + "1" + close.repeat(levels);
    assertEquals((await post(nested(64))).status, 200);
    const { status, error } = await post(nested(65));
    assertEquals([status, error.code], [400, "invalid_json"]);
  }
  // Brackets of a text are none, whatever is escaped in it.
  assertEquals((await post(JSON.stringify('[\\"'.repeat(200)))).status, 200);
});

Deno.test("uploads are let through", async () => {
  const body = "x".repeat(5000);
  const { status, text } = await post(body, { "content-type": "multipart/form-data" }, "/up");
  assertEquals([status, text], [200, body]);
});

Deno.test("requests per minute are limited separately for each address and key", async () => {
  const app = appWith(rateLimit(3));
  const from = (hostname: string) =>
    app.request("/", {}, { remoteAddr: { transport: "tcp" as const, hostname, port: 1 } });
  for (let i = 0; i < 3; i++) assertEquals((await from("10.0.0.1")).status, 200);
  const answer = await from("10.0.0.1");
  assertEquals(answer.status, 429);
  assert(Number(answer.headers.get("retry-after")) >= 1);
  assertStringIncludes((await answer.json()).error.message, "more than 3 requests per minute");
  assertEquals((await from("10.0.0.2")).status, 200);
});

Deno.test("no limit where none is set", async () => {
  const app = appWith(rateLimit(undefined));
  for (let i = 0; i < 50; i++) assertEquals((await app.request("/")).status, 200);
});

Deno.test("what comes while enough is being answered is 429, and passes later", async () => {
  const app = new Hono<ServerEnv>();
  app.use(concurrencyLimit(2));
  const held = Promise.withResolvers<void>();
  app.get("/held", async (context) => {
    await held.promise;
    return context.text("done");
  });
  app.onError((error) => (error as ApiError).toResponse());
  const first = app.request("/held"), second = app.request("/held");
  const third = await app.request("/held");
  assertEquals([third.status, third.headers.get("retry-after")], [429, "1"]);
  assertEquals((await third.json()).error.code, "too_many_requests");
  held.resolve();
  assertEquals([(await first).status, (await second).status], [200, 200]);
  assertEquals((await app.request("/held")).status, 200);
});

const content = { "application/json": { schema: z.unknown() } };
const echoRoute = createRoute({
  method: "post",
  path: "/echo",
  request: { body: { required: true, content } },
  responses: { 200: { description: "What was sent", content } },
});

Deno.test("the limits of the options are those of the server", async () => {
  const services = testServices({ options: { maxBody: 2, rateLimit: 4 } });
  try {
    const app = createServer(services);
    app.openapi(echoRoute, (context) => context.json(context.req.valid("json"), 200));
    const echo = (body: string) =>
      app.request("/echo", { method: "POST", body, headers: JSON_TYPE });
    assertEquals((await echo("[1]")).status, 200);
    assertEquals((await echo(JSON.stringify("x".repeat(3000)))).status, 413);
    const broken = await echo('{"a":');
    assertEquals([broken.status, (await broken.json()).error.code], [400, "invalid_json"]);
    assertEquals((await echo("[1]")).status, 200);
    assertEquals((await echo("[1]")).status, 429);
  } finally {
    services.close();
  }
});

Deno.test("a client waits for the rest of its minute, by a clock that nobody sets", () => {
  let now = 5;
  const limiter = new RateLimiter(2, 60_000, () => now);
  const counts = (client: string, times: number) =>
    Array.from({ length: times }, () => limiter.count(client));
  assertEquals(counts("a", 3), [undefined, undefined, 60_000]);
  now += 20_000;
  assertEquals(limiter.count("a"), 40_000);
  assertEquals(counts("b", 3), [undefined, undefined, 60_000]);
  now += 40_000;
  assertEquals(limiter.count("a"), undefined);
  // Those whose minute is over are forgotten.
  for (let i = 0; i < 1000; i++) limiter.count(`client ${i}`);
  now += 60_000;
  limiter.count("last");
  assertEquals(limiter.size, 1);
});

for (const hours of [-2, 2]) {
  Deno.test(`a system clock set by ${hours} hours neither locks out nor lets in`, async () => {
    const app = appWith(rateLimit(2));
    const ask = async () => {
      const { status, headers } = await app.request("/");
      return [status, Number(headers.get("retry-after"))];
    };
    assertEquals([await ask(), await ask()], [[200, 0], [200, 0]]);
    const clock = Date.now;
    try {
      Date.now = () => clock() + hours * 3600_000;
      const [status, wait] = await ask();
      assertEquals(status, 429);
      assert(wait >= 1 && wait <= 60, `${wait}`);
    } finally {
      Date.now = clock;
    }
  });
}
