import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Hono } from "hono";
import { createServer } from "../../../src/server/http/app.ts";
import { mountable } from "../../../src/server/http/mountable.ts";
import { ServerLog } from "../../../src/server/server_log.ts";
import { testServices } from "../support_services.ts";

type Given = ReturnType<typeof testServices> & { readonly lines: readonly string[] };

/** The server under each of these paths of a site. */
async function withSites(
  use: (site: Hono, path: string, given: Given) => Promise<void>,
  options: Record<string, unknown> = {},
) {
  for (const path of ["/train", "/a/b", "/käse"]) {
    const lines: string[] = [];
    const serverLog = new ServerLog((line) => lines.push(line));
    const services = testServices({ options, serverLog });
    try {
      const inner = createServer(services, { verbose: true });
      inner.get("/v1/things", (context) => context.json({ query: context.req.query("q") }));
      inner.post("/v1/things", async (context) => context.json(await context.req.json()));
      const site = new Hono();
      site.get("/", (context) => context.text("the site"));
      site.route(path, mountable(inner));
      await use(site, encodeURI(path), { ...services, lines });
    } finally {
      services.close();
    }
  }
}

Deno.test("a mounted server answers under its path, and the site beside it", async () => {
  await withSites(async (site, path) => {
    assertEquals(await (await site.request("/")).text(), "the site");
    assertEquals((await site.request("/health")).status, 404);
    assertEquals((await site.request(`${path}/health`)).status, 200);
    const got = await site.request(`${path}/v1/things?q=%C3%A4%2Fb`);
    assertEquals(await got.json(), { query: "ä/b" });
    const headers = { "content-type": "application/json" };
    const posted = await site.request(`${path}/v1/things`, {
      method: "POST",
      body: "[1]",
      headers,
    });
    assertEquals(await posted.json(), [1]);
  });
});

Deno.test("a mounted server's pages refer to what is under its path", async () => {
  await withSites(async (site, path) => {
    const root = await site.request(`${path}?x=1`);
    assertEquals(root.status, 308);
    const base = new URL(root.headers.get("location")!, `http://localhost${path}?x=1`);
    assertEquals(base.href, `http://localhost${path}/?x=1`);
    for (const page of [`${path}/`, `${path}/docs`]) {
      const answer = await site.request(page);
      assertEquals(answer.status, 200);
      const html = await answer.text();
      const references = [...html.matchAll(/(?:href|src)="(?!#|data:)([^"]+)"/g)];
      assert(references.length > 2, html);
      for (const [, reference] of references) {
        const url = new URL(reference, `http://localhost${page}`);
        assertEquals((await site.request(url.href)).status, 200, `${page}: ${reference}`);
      }
    }
    const document = await (await site.request(`${path}/openapi.json`)).json();
    const at = new URL(
      `${document.servers[0].url}/v1/models`,
      `http://localhost${path}/openapi.json`,
    );
    assertEquals(at.pathname, `${path}/v1/models`);
  });
});

Deno.test("an unknown path under a mounted server is answered in the API's shape", async () => {
  await withSites(async (site, path, { lines }) => {
    const unknown = await site.request(`${path}/v1/nothing`);
    assertEquals([unknown.status, (await unknown.json()).error.code], [404, "unknown_url"]);
    const wrong = await site.request(`${path}/health`, { method: "DELETE" });
    assertEquals([wrong.status, wrong.headers.get("allow")], [405, "GET, HEAD"]);
    assert(wrong.headers.has("x-request-id") && wrong.headers.has("content-security-policy"));
    // Patterns of routes, as without a site.
    await site.request(`${path}/v1/models/x`, { method: "POST" });
    assert(lines.every((line) => !line.includes(path)), lines.join("\n"));
  });
});

Deno.test("keys, origins and limits hold under a path", async () => {
  await withSites(async (site, path, { store }) => {
    const things = `${path}/v1/things`;
    const status = async (init: RequestInit, address?: string) => {
      const remoteAddr = { transport: "tcp", hostname: address, port: 1 };
      const answer = await site.request(things, init, address ? { remoteAddr } : undefined);
      await answer.body?.cancel();
      return answer.status;
    };
    assertEquals(await status({}, "127.0.0.1"), 200);
    assertEquals(await status({}, "192.0.2.1"), 403, "a neighbour, without a key");
    assertEquals(await status({ headers: { origin: "https://evil.example" } }), 403);
    assertEquals(await status({ headers: { host: "evil.example" } }), 403);
    const headers = { "content-type": "application/json" };
    assertEquals(await status({ method: "POST", headers, body: `"${"x".repeat(2000)}"` }), 413);
    const { secret } = store.keys.create("laptop");
    assertEquals(await status({}), 401);
    const authorization = `Bearer ${secret}`;
    assertEquals(await status({ headers: { authorization } }, "192.0.2.1"), 200);
    // Pages without user data stay public.
    for (const page of ["/", "/assets/app.js", "/docs", "/health"]) {
      assertEquals((await site.request(path + page)).status, 200, page);
    }
    assertStringIncludes(await (await site.request(`${path}/v1/models`)).text(), "invalid_api_key");
  }, { maxBody: 1 });
});
