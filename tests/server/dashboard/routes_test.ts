/** The files of the dashboard as they are served. */
import { assert, assertEquals } from "@std/assert";
import { createApp } from "../../../src/server/http/app_base.ts";
import { ApiError } from "../../../src/server/api_error.ts";
import { ASSETS } from "../../../src/server/dashboard/assets.ts";
import { dashboardRoutes } from "../../../src/server/http/routes/dashboard.ts";

const app = createApp();
app.route("/", dashboardRoutes());
app.onError((error) => (error as ApiError).toResponse());

const FOLDER = new URL("../../../src/server/dashboard/", import.meta.url);

Deno.test("the page and each of its files, with their types", async () => {
  const page = await app.request("/");
  assertEquals(page.headers.get("content-type"), "text/html; charset=utf-8");
  const html = await page.text();
  // Nothing that the content security policy would refuse.
  assert(!/<script(?! type="module" src=)|<style| style=| on\w+=/.test(html));
  const named = [...html.matchAll(/"assets\/([\w.]+)/g)].map(([, name]) => name);
  for (const name of named) assert(name in ASSETS, name);
  for (const name of Object.keys(ASSETS)) {
    const response = await app.request(`/assets/${name}`);
    assertEquals(response.status, 200, name);
    const type = name.endsWith(".css") ? "text/css" : "text/javascript";
    assertEquals(response.headers.get("content-type"), `${type}; charset=utf-8`);
    // Every module that it imports is served as well.
    const imports = (await response.text()).matchAll(/^(?:import|export) [^;]*?"\.\/([\w.]+)"/gm);
    for (const [, imported] of imports) assert(imported in ASSETS, `${name} imports ${imported}`);
  }
});

Deno.test("no file of the folder is forgotten", async () => {
  const files = await Array.fromAsync(Deno.readDir(FOLDER), ({ name }) => name);
  const unserved = files.filter((name) => /\.(js|css)$/.test(name) && !(name in ASSETS));
  assertEquals(unserved, []);
});

Deno.test("cached files are not sent again", async () => {
  const first = await app.request("/assets/app.js");
  const tag = first.headers.get("etag")!;
  assertEquals(first.headers.get("cache-control"), "no-cache");
  for (const known of [tag, `W/${tag}`, `"other", ${tag}`, "*"]) {
    const again = await app.request("/assets/app.js", { headers: { "If-None-Match": known } });
    assertEquals([again.status, await again.text()], [304, ""], known);
    assertEquals(again.headers.get("etag"), tag);
  }
  const other = await app.request("/assets/app.js", { headers: { "If-None-Match": '"other"' } });
  assertEquals(other.status, 200);
});

Deno.test("only names of the list are files", async () => {
  const paths = ["assets.ts", "..%2findex.html", "%2e%2e%2fassets.ts", "toString", "__proto__"];
  for (const name of paths) {
    const response = await app.request(`/assets/${name}`);
    assertEquals(response.status, 404, name);
    assertEquals((await response.json()).error.code, "not_found");
  }
});
