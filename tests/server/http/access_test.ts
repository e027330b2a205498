import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Context } from "hono";
import type { ApiError } from "../../../src/server/api_error.ts";
import { createServer } from "../../../src/server/http/app.ts";
import type { GenerationEvent } from "../../../src/server/services.ts";
import { testServices } from "../support_services.ts";

type Given = ReturnType<typeof testServices>;

interface Setup extends Given {
  /** Requests with the key to revoke, and with another, on one connection. */
  ask(path: string, init?: RequestInit): Promise<Response>;
  askOther(path: string, init?: RequestInit): Promise<Response>;
  revoke(): void;
  /** Signals that inference received. */
  readonly signals: AbortSignal[];
}

/** A server with two keys, on a real port, whose model says a word and then nothing more. */
async function withKeys(
  use: (setup: Setup) => Promise<void>,
  { silent = false, routes = {} }: {
    /** Whether the model does not even say its word. */
    readonly silent?: boolean;
    readonly routes?: Readonly<Record<string, (context: Context) => Response | Promise<Response>>>;
  } = {},
) {
  const signals: AbortSignal[] = [];
  const inference = {
    loaded: undefined,
    async *generate(_: unknown, signal: AbortSignal): AsyncGenerator<GenerationEvent> {
      signals.push(signal);
      if (!silent) yield { type: "text", text: "Hel" };
      const aborted = Promise.withResolvers<never>();
      signal.addEventListener("abort", () => aborted.reject(signal.reason));
      await aborted.promise;
    },
    unload: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  };
  const services = testServices({ inference });
  const app = createServer(services);
  for (const [path, handler] of Object.entries(routes)) app.all(path, handler);
  const one = services.store.keys.create("one"), other = services.store.keys.create("other");
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, app.fetch);
  const as = (secret: string) => (path: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${secret}`);
    return fetch(`http://127.0.0.1:${server.addr.port}${path}`, { ...init, headers });
  };
  try {
    await use({
      ...services,
      ask: as(one.secret),
      askOther: as(other.secret),
      revoke: () => void services.store.keys.revoke(one.record.id),
      signals,
    });
  } finally {
    await server.shutdown();
    services.close();
  }
}

const chat = (stream: boolean): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "Hi" }], stream }),
});

const REVOKED = {
  error: {
    message: "The API key has been revoked.",
    type: "invalid_request_error",
    param: null,
    code: "invalid_api_key",
  },
};

Deno.test("the events of a revoked key end, those of another go on", () =>
  withKeys(async ({ ask, askOther, revoke, streams }) => {
    const mine = await ask("/metrics/stream"), others = await askOther("/metrics/stream");
    const other = others.body!.getReader();
    await other.read();
    revoke();
    // An end, not a break: a client may connect again, and is told that its key is wrong.
    assertEquals(await mine.text(), "retry: 2000\n");
    assertEquals(streams.count, 1);
    assertEquals((await ask("/metrics/stream")).status, 401);
    await other.cancel();
  }));

Deno.test("a streamed answer ends with an error, and the model stops", () =>
  withKeys(async ({ ask, revoke, signals }) => {
    const response = await ask("/v1/chat/completions", chat(true));
    assertEquals(response.status, 200);
    revoke();
    const events = (await response.text()).trimEnd().split("\n\n");
    assertEquals(JSON.parse(events.at(-1)!.slice("data: ".length)), REVOKED);
    assert(events.length > 1 && !events.includes("data: [DONE]"));
    assert(signals[0].aborted);
  }));

for (const stream of [false, true]) {
  const what = stream ? "a streamed answer that waits for its first word" : "a whole answer";
  Deno.test(`${what} becomes 401`, () =>
    withKeys(async ({ ask, revoke, signals }) => {
      const asked = ask("/v1/chat/completions", chat(stream));
      while (!signals.length) await new Promise((resolve) => setTimeout(resolve, 5));
      revoke();
      const response = await asked;
      assertEquals(response.status, 401);
      assertEquals(await response.json(), REVOKED);
      assert(signals[0].aborted);
    }, { silent: true }));
}

Deno.test("an upload in progress is refused, and what reads it gets the reason", async () => {
  let reason: unknown;
  await withKeys(async ({ ask, revoke }) => {
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        controller.enqueue(new Uint8Array(10));
        if (++sent === 5) revoke();
        if (reason) controller.close();
      },
    });
    const response = await ask("/v1/files", { method: "PUT", body });
    assertEquals(response.status, 401);
    assertEquals(await response.json(), REVOKED);
  }, {
    routes: {
      "/v1/files": async ({ req }) => {
        await req.text().catch((error) => reason = error);
        return new Response();
      },
    },
  });
  assertEquals((reason as ApiError).toJSON(), REVOKED);
});

Deno.test("a handler that never looks is not waited for", () =>
  withKeys(async ({ ask, revoke }) => {
    const asked = ask("/v1/slow");
    await new Promise((resolve) => setTimeout(resolve, 20));
    revoke();
    const response = await asked;
    assertEquals([response.status, await response.json()], [401, REVOKED]);
  }, { routes: { "/v1/slow": () => new Promise(() => {}) } }));

Deno.test("a download is cut off, and its client sees that it is not complete", () =>
  withKeys(async ({ ask, revoke }) => {
    const response = await ask("/v1/file");
    const reader = response.body!.getReader();
    await reader.read();
    revoke();
    await assertRejects(async () => {
      while (!(await reader.read()).done);
    });
  }, {
    routes: {
      "/v1/file": () => {
        const body = new ReadableStream({
          async pull(controller) {
            await new Promise((resolve) => setTimeout(resolve, 10));
            controller.enqueue(new Uint8Array(10));
          },
        });
        return new Response(body, {
          headers: { "content-disposition": "attachment", "content-length": "1000" },
        });
      },
    },
  }));

Deno.test("streams without a key end once the server needs one", async () => {
  const services = testServices();
  const app = createServer(services);
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, app.fetch);
  try {
    const response = await fetch(`http://127.0.0.1:${server.addr.port}/metrics/stream`);
    services.store.keys.create("first");
    assertEquals(await response.text(), "retry: 2000\n");
  } finally {
    await server.shutdown();
    services.close();
  }
});
