import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createServer } from "../../../src/server/http/app.ts";
import { testServices } from "../support_services.ts";

type App = ReturnType<typeof createServer>;
type Given = ReturnType<typeof testServices>;

/** An app with a route of each kind; a request is made from an address. */
async function withApp(
  options: Record<string, unknown>,
  use: (request: Request_, given: Given) => Promise<void>,
) {
  const services = testServices({ options });
  try {
    const app: App = createServer(services);
    app.get("/v1/things", (context) => context.json({ key: context.get("key")?.name ?? null }));
    app.post("/v1/things", (context) => context.json({}));
    app.get("/metrics", (context) => context.text("1"));
    const request: Request_ = async (path, { address = "127.0.0.1", key, ...init } = {}) => {
      const headers = new Headers(init.headers);
      if (key !== undefined) headers.set("authorization", `Bearer ${key}`);
      const remoteAddr: Deno.NetAddr = { transport: "tcp", hostname: address, port: 1 };
      return await app.request(path, { ...init, headers }, { remoteAddr });
    };
    await use(request, services);
  } finally {
    services.close();
  }
}

type Request_ = (
  path: string,
  init?: RequestInit & { readonly address?: string; readonly key?: string },
) => Promise<Response>;

const PUBLIC = ["/health", "/docs", "/docs/style.css", "/openapi.json"];

Deno.test("without keys, this machine needs none", async () => {
  await withApp({}, async (request) => {
    assertEquals((await request("/v1/things")).status, 200);
    assertEquals((await request("/metrics")).status, 200);
  });
});

Deno.test("with a key, all but the public pages needs it", async () => {
  await withApp({}, async (request, { store }) => {
    const { secret } = store.keys.create("laptop");
    for (const path of PUBLIC) assertEquals((await request(path)).status, 200, path);
    for (const path of ["/v1/things", "/metrics", "/nothing"]) {
      const answer = await request(path);
      assertEquals([answer.status, answer.headers.get("www-authenticate")], [401, "Bearer"], path);
      const { error } = await answer.json();
      assertEquals([error.code, error.type], ["invalid_api_key", "invalid_request_error"]);
    }
    const answer = await request("/v1/things", { key: secret });
    assertEquals(await answer.json(), { key: "laptop" });
  });
});

Deno.test("a wrong key, a revoked one and another scheme are refused; no answer repeats them", async () => {
  await withApp({}, async (request, { store }) => {
    const revoked = store.keys.create("old"), active = store.keys.create("new");
    store.keys.revoke(revoked.record.id);
    for (
      const key of ["sk-wrong", "", revoked.secret, `${active.secret}x`, ` ${"x".repeat(9000)}`]
    ) {
      const answer = await request("/v1/things", { key });
      assertEquals(answer.status, 401, key);
      assert(key === "" || !(await answer.text()).includes(key));
    }
    for (const authorization of [`Basic ${active.secret}`, active.secret, "Bearer a b"]) {
      assertEquals((await request("/v1/things", { headers: { authorization } })).status, 401);
    }
    const headers = { authorization: `bearer ${active.secret}` };
    assertEquals((await request("/v1/things", { headers })).status, 200);
  });
});

Deno.test("an address with too many wrong keys must wait; others and valid keys need not", async () => {
  await withApp({}, async (request, { store }) => {
    const { secret } = store.keys.create("laptop");
    for (let i = 0; i < 30; i++) {
      assertEquals((await request("/v1/things", { key: `sk-${i}` })).status, 401);
    }
    const answer = await request("/v1/things", { key: "sk-30" });
    assertEquals(answer.status, 429);
    const wait = Number(answer.headers.get("retry-after"));
    assert(wait >= 1 && wait <= 60, `${wait}`);
    assertEquals((await answer.json()).error.code, "rate_limit_exceeded");
    assertEquals((await request("/v1/things", { key: "x", address: "10.0.0.2" })).status, 401);
    assertEquals((await request("/v1/things", { key: secret })).status, 200);
  });
});

Deno.test("a server that others can reach needs a key even if none exists", async () => {
  await withApp({ host: "0.0.0.0" }, async (request) => {
    assertEquals((await request("/v1/things")).status, 401);
    assertEquals((await request("/health")).status, 200);
  });
});

Deno.test("revoking the last key of a server on another address leaves it closed", async () => {
  await withApp({ host: "192.168.1.5" }, async (request, { store }) => {
    const { record, secret } = store.keys.create("only");
    assertEquals((await request("/v1/things", { key: secret })).status, 200);
    store.keys.revoke(record.id);
    assertEquals((await request("/v1/things", { key: secret })).status, 401);
  });
});

for (
  const [host, status] of [
    ["localhost:8000", 200],
    ["LOCALHOST", 200],
    ["127.0.0.1:8000", 200],
    ["127.1.2.3", 200],
    ["[::1]:8000", 200],
    ["evil.example", 403],
    ["localhost.evil.example:8000", 403],
    ["127.0.0.1.evil.example", 403],
    ["169.254.169.254", 403],
    ["", 403],
  ] as const
) {
  Deno.test(`without keys, a request to ${host || "no host"} is ${status}`, async () => {
    await withApp({}, async (request) => {
      const answer = await request("/v1/things", { headers: { host } });
      assertEquals(answer.status, status);
      if (status === 403) assertEquals((await answer.json()).error.code, "host_not_allowed");
    });
  });
}

Deno.test("with keys any name will do: a proxy has its own", async () => {
  await withApp({}, async (request, { store }) => {
    const { secret } = store.keys.create("proxy");
    const headers = { host: "ai.example.com", origin: "https://other.example" };
    assertEquals((await request("/v1/things", { key: secret, headers })).status, 200);
  });
});

for (
  const [origin, status] of [
    ["http://localhost:8000", 200],
    ["https://localhost:8000", 200],
    ["http://localhost:3000", 403],
    ["https://evil.example", 403],
    ["null", 403],
    ["http://localhost:8000.evil.example", 403],
    ["https://allowed.example", 200],
  ] as const
) {
  Deno.test(`without keys, a page of ${origin} gets ${status}`, async () => {
    await withApp({ corsOrigin: ["https://allowed.example"] }, async (request) => {
      const headers = { host: "localhost:8000", origin };
      for (const method of ["GET", "POST"]) {
        const answer = await request("/v1/things", { method, headers });
        assertEquals(answer.status, status);
        const allowed = answer.headers.get("access-control-allow-origin");
        assertEquals(allowed, origin === "https://allowed.example" ? origin : null);
      }
    });
  });
}

for (
  const [site, mode, method, status] of [
    ["cross-site", "no-cors", "GET", 403],
    ["same-site", "no-cors", "GET", 403],
    ["cross-site", "navigate", "GET", 200],
    ["cross-site", "navigate", "POST", 403],
    ["same-origin", "cors", "GET", 200],
    ["none", "navigate", "GET", 200],
  ] as const
) {
  Deno.test(`without keys, a ${site} ${mode} ${method} without an origin is ${status}`, async () => {
    await withApp({}, async (request) => {
      const headers = { host: "localhost:8000", "sec-fetch-site": site, "sec-fetch-mode": mode };
      assertEquals((await request("/v1/things", { method, headers })).status, status);
    });
  });
}

Deno.test("a page that may use the API asks first, and is answered without a key", async () => {
  await withApp({ corsOrigin: ["https://allowed.example"] }, async (request, { store }) => {
    store.keys.create("any");
    const preflight = (origin: string) =>
      request("/v1/things", {
        method: "OPTIONS",
        headers: {
          origin,
          "access-control-request-method": "POST",
          "access-control-request-headers": "authorization",
        },
      });
    const { headers } = await preflight("https://allowed.example");
    assertEquals(headers.get("access-control-allow-origin"), "https://allowed.example");
    assertStringIncludes(headers.get("access-control-allow-headers")!, "authorization");
    const other = await preflight("https://evil.example");
    assertEquals(other.headers.get("access-control-allow-origin"), null);
  });
});

Deno.test("no CORS unless asked for", async () => {
  await withApp({}, async (request, { store }) => {
    const { secret } = store.keys.create("any");
    const headers = { origin: "https://any.example" };
    const answer = await request("/v1/things", { key: secret, headers });
    assertEquals(answer.headers.get("access-control-allow-origin"), null);
  });
});
