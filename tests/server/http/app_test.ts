import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { OpenAPIHono } from "@hono/zod-openapi";
import { DiskError } from "../../../src/files/disk_error.ts";
import { option, phrase } from "../../../src/options/phrase.ts";
import { ApiError } from "../../../src/server/api_error.ts";
import { createServer } from "../../../src/server/http/app.ts";
import { docsPage } from "../../../src/server/http/docs/page.ts";
import type { ServerEnv } from "../../../src/server/http/middleware/context.ts";
import { UserError } from "../../../src/options/user_error.ts";
import type { OpenApiDocument } from "../../../src/server/http/openapi_types.ts";
import { ServerLog } from "../../../src/server/server_log.ts";
import type { Services } from "../../../src/server/services.ts";
import { testServices } from "../support_services.ts";

type App = OpenAPIHono<ServerEnv>;

async function withApp(
  { options, log = [] }: {
    readonly options?: Record<string, unknown>;
    /** Receives the lines of the log. */
    readonly log?: string[];
  },
  use: (app: App, store: Services["store"]) => Promise<void>,
) {
  const serverLog = new ServerLog((line) => log.push(line));
  const services = testServices({ options, serverLog });
  try {
    await use(createServer(services, { verbose: true }), services.store);
  } finally {
    services.close();
  }
}

/** A route that fails in a certain way. */
function failing(app: App, error: () => Error): void {
  app.get("/fails", () => {
    throw error();
  });
}

Deno.test("an unknown path is 404, and says what was asked for", async () => {
  await withApp({}, async (app) => {
    const answer = await app.request("/v1/nothing");
    assertEquals(answer.status, 404);
    assertEquals(await answer.json(), {
      error: {
        message: "Unknown request URL: GET /v1/nothing. /docs lists all endpoints.",
        type: "invalid_request_error",
        param: null,
        code: "unknown_url",
      },
    });
  });
});

Deno.test("a path with other methods is 405, and names them", async () => {
  await withApp({}, async (app) => {
    const answer = await app.request("/health", { method: "DELETE" });
    assertEquals([answer.status, answer.headers.get("allow")], [405, "GET, HEAD"]);
    const { error } = await answer.json();
    assertEquals(error.code, "method_not_allowed");
    assertEquals(error.message, "DELETE is not allowed here: /health allows GET, HEAD");
  });
});

Deno.test("a disk that cannot take a request is 507: full, or for a reason in the log", async () => {
  const log: string[] = [];
  await withApp({ log }, async (app) => {
    const errors = {
      "/full": Object.assign(new Error("No space left on device (os error 28)"), {
        code: "ENOSPC",
      }),
      "/failing": new DiskError("/data/server.db cannot be written: disk I/O error"),
    };
    for (const [path, error] of Object.entries(errors)) {
      app.get(path, () => {
        throw error;
      });
    }
    const full = await app.request("/full");
    assertEquals(full.status, 507);
    assertEquals(await full.json(), {
      error: {
        message:
          "The disk of the data folder is full: delete files or models, or make room on the disk",
        type: "server_error",
        param: null,
        code: "disk_full",
      },
    });
    const failing = await app.request("/failing");
    const { error: { code, message } } = await failing.json();
    assertEquals([failing.status, code], [507, "disk_error"]);
    assert(!message.includes("/data"), message);
    const [line] = log.filter((line) => line.includes("server.db cannot be written"));
    assertStringIncludes(line, `request_id=${failing.headers.get("x-request-id")}`);
  });
});

Deno.test("a fault that the user can mend is 400", async () => {
  await withApp({}, async (app) => {
    failing(app, () => new UserError(phrase`${option("loraRank")} must be at least 1, got 0`));
    const answer = await app.request("/fails");
    assertEquals(answer.status, 400);
    assertEquals((await answer.json()).error.message, "lora_rank must be at least 1, got 0");
  });
});

Deno.test("an ApiError is its own answer, headers and all", async () => {
  await withApp({}, async (app) => {
    const details = { message: "later", code: "busy", headers: { "retry-after": "7" } };
    failing(app, () => new ApiError(429, details));
    const answer = await app.request("/fails");
    assertEquals([answer.status, answer.headers.get("retry-after")], [429, "7"]);
    assertEquals((await answer.json()).error.code, "busy");
  });
});

Deno.test("a fault of ours is 500 with the request's id; the stack goes to the log alone", async () => {
  const log: string[] = [];
  await withApp({ log }, async (app) => {
    failing(app, () => new Error("a secret of the machine"));
    const answer = await app.request("/fails");
    assertEquals(answer.status, 500);
    const id = answer.headers.get("x-request-id")!;
    const { error } = await answer.json();
    assertEquals([error.type, error.code], ["server_error", "internal_error"]);
    assertStringIncludes(error.message, id);
    assert(!error.message.includes("secret"));
    const [fault, first, ...stack] = log;
    const begin = String.raw`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z error`;
    const said = ` a secret of the machine client=unknown request_id=${id}$`;
    assertMatch(fault, new RegExp(begin + said));
    assertMatch(first, new RegExp(String.raw`${begin} \| Error: a secret of the machine$`));
    for (const line of stack.slice(0, -1)) {
      assertMatch(line, new RegExp(String.raw`${begin} \| +at `));
    }
    assertMatch(log.at(-1)!, new RegExp(String.raw`info request method=GET .* request_id=${id}$`));
  });
});

Deno.test("every answer has an id of its own and the headers that keep browsers careful", async () => {
  await withApp({}, async (app) => {
    const ids = new Set<string>();
    for (const path of ["/health", "/v1/nothing", "/docs", "/openapi.json"]) {
      const { headers } = await app.request(path);
      ids.add(headers.get("x-request-id")!);
      assertMatch(headers.get("x-request-id")!, /^req_\w{20}$/);
      assertEquals(headers.get("x-content-type-options"), "nosniff");
      assertEquals(headers.get("referrer-policy"), "no-referrer");
      assertEquals(headers.get("cross-origin-opener-policy"), "same-origin");
      assertEquals(headers.get("cross-origin-resource-policy"), "same-origin");
      assertStringIncludes(headers.get("content-security-policy")!, "default-src 'none'");
      assertStringIncludes(headers.get("content-security-policy")!, "script-src 'self'");
      assertStringIncludes(headers.get("permissions-policy")!, "camera=()");
      assertEquals(headers.get("strict-transport-security"), null);
    }
    assertEquals(ids.size, 4);
    assertEquals((await app.request("/health")).headers.get("cache-control"), "no-store");
  });
});

Deno.test("the log has one line per request: its route, and no data", async () => {
  const lines: string[] = [];
  await withApp({ log: lines }, async (app) => {
    app.get("/v1/things/:id", (context) => context.text("here"));
    await app.request("/v1/things/thing-secret1?token=secret2", {
      headers: { authorization: "Bearer secret3" },
    });
    await app.request("/secret4");
  });
  assertEquals(lines.length, 2);
  const line = (route: string, status: number) =>
    new RegExp(
      String.raw`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info request method=GET route=${route} ` +
        String.raw`status=${status} ms=[\d.]+ client=unknown request_id=req_\w{20}$`,
    );
  assertMatch(lines[0], line("/v1/things/:id", 200));
  assertMatch(lines[1], line(String.raw`\S+`, 404));
  assert(!lines.join().includes("secret"));
});

Deno.test("the document lists every route, its errors and how to authenticate", async () => {
  await withApp({}, async (app, store) => {
    const answer = await app.request("/openapi.json");
    assertEquals(answer.headers.get("content-type"), "application/json");
    const document: OpenApiDocument & Record<string, unknown> = await answer.json();
    assertEquals(document.openapi, "3.1.0");
    assertEquals(document.security, [{ bearer: [] }, {}], "without keys none is needed");
    // Pages and their parts are not the API's, nor is what workers and their server say.
    const undocumented = /^(\/|\/assets\/.*|\/docs.*|\/openapi\.json|\/v1\/workers\/.*)$/;
    const described = new Set(
      Object.entries(document.paths).flatMap(([path, operations]) =>
        Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`)
      ),
    );
    const routes = app.routes.filter(({ method, path }) =>
      method !== "ALL" && !undocumented.test(path)
    ).map(({ method, path }) => `${method} ${path.replace(/:(\w+)(\{.+?\})?/g, "{$1}")}`);
    assertEquals([...described].sort(), [...new Set(routes)].sort());
    for (const operation of Object.values(document.paths).flatMap(Object.values)) {
      assertEquals(operation.responses.default, { $ref: "#/components/responses/Error" });
    }
    assertEquals(document.paths["/health"].get.security, []);
    store.keys.create("laptop");
    const { security } = await (await app.request("/openapi.json")).json() as OpenApiDocument;
    assertEquals(security, [{ bearer: [] }]);
  });
});

Deno.test("the document's texts are escaped on the page", () => {
  const nasty = '<img src=x onerror="alert(1)">';
  const page = docsPage({
    info: { title: nasty, version: nasty, description: nasty },
    paths: {
      [`/${nasty}`]: {
        get: {
          summary: `${nasty} and \`${nasty}\``,
          tags: [nasty],
          parameters: [{ name: nasty, in: "query", schema: { default: nasty } }],
          responses: { 200: { description: nasty } },
        },
      },
    },
    components: { schemas: { Some: { properties: { [nasty]: { enum: [nasty] } } } } },
  }).toString();
  assert(!page.includes("<img"));
  assertStringIncludes(page, "&lt;img src=x onerror=&quot;");
});

Deno.test("/docs is a page of it: every route with an anchor, text escaped, no script", async () => {
  await withApp({}, async (app) => {
    const page = await (await app.request("/docs")).text();
    const { paths } = await (await app.request("/openapi.json")).json() as OpenApiDocument;
    for (const path of Object.keys(paths)) assertStringIncludes(page, path);
    assertStringIncludes(page, '<h3 id="get-health">');
    assertStringIncludes(page, '<h3 id="schema-Error">');
    assert(!/<script|style=|javascript:|\[object/.test(page));
    // Links within the page lead somewhere.
    const anchors = new Set([...page.matchAll(/id="([^"]+)"/g)].map(([, id]) => id));
    const dangling = [...page.matchAll(/href="#([^"]+)"/g)].filter(([, id]) => !anchors.has(id));
    assertEquals(dangling, []);
    const style = await app.request("/docs/style.css");
    assertStringIncludes(style.headers.get("content-type")!, "text/css");
  });
});
