/** Downloads that break off, or bring something else than was asked for. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { type DownloadEvent, resolveModel } from "../../src/hub/hub.ts";
import { explain, UserError } from "../../src/options/user_error.ts";
import { assertRefusesAsync } from "../support_errors.ts";
import { cutOff, refusal, sha256 } from "./hub_server.ts";
import { filesBelow, MODEL, NAME, NEEDED, WEIGHTS, withHub, without } from "./support.ts";

Deno.test("hub: a broken connection resumes where it stopped", async () => {
  await withHub([MODEL], async ({ server, options, events }) => {
    // Every response sends half of the rest: 300,000 bytes after 19 of them.
    server.fault = ({ kind, range }, body) =>
      kind === "cdn" && range !== "bytes=0-0" ? cutOff(body, range) : undefined;
    const folder = await resolveModel(`hf:${NAME}`, options);
    assertEquals(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
    const starts = server.requests.filter(({ kind }) => kind === "cdn").map(({ range }) => range);
    assertEquals(starts.slice(0, 5), [
      "bytes=0-0", // the package asks for the size
      null,
      "bytes=0-0",
      "bytes=150000-299999",
      "bytes=0-0",
    ]);
    assert(events.some((it) => it.type === "download_progress" && it.fileReceived === 225_000));
  });
});

Deno.test("hub: connections that are reset are opened again, where they stopped", async () => {
  await withHub([MODEL], async ({ server, options }) => {
    let resets = 0;
    server.fault = ({ kind, range }, body) => {
      if (kind !== "cdn" || range === "bytes=0-0" || resets++ >= 8) return undefined;
      const from = Number(/^bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0);
      const pieces = [body.subarray(from, from + 20_000)];
      const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
        async pull(controller) {
          await new Promise((resolve) => setTimeout(resolve, 5)); // sent before the reset
          const piece = pieces.pop();
          if (piece) controller.enqueue(piece);
          else controller.error(new Error("reset"));
        },
      });
      return new Response(stream, { status: range ? 206 : 200 });
    };
    const folder = await resolveModel(`hf:${NAME}`, options);
    assertEquals(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
    assertEquals(server.requests.at(-1)!.range, "bytes=160000-299999");
  });
});

Deno.test("hub: an interrupted download leaves no file under its name, and is gone on from", async () => {
  await withHub([MODEL], async ({ server, cache, options }) => {
    let answers = 0;
    server.fault = ({ kind, range }, body) => {
      if (kind !== "cdn" || range === "bytes=0-0") return undefined;
      return answers++ === 0 ? cutOff(body, range) : refusal(500, "", "out of order");
    };
    const error = await assertRejects(() => resolveModel(`hf:${NAME}`, options), UserError);
    assertStringIncludes(error.message, `hf:${NAME}: the download failed: `);
    assertStringIncludes(error.message, "out of order");
    const blobs = join(cache, "models--org--tiny", "blobs");
    const partial = `${sha256(WEIGHTS)}.incomplete`;
    assertEquals((await filesBelow(blobs)).filter((name) => name.includes("incom")), [partial]);
    assertEquals((await Deno.stat(join(blobs, partial))).size, 150_000);
    const offline = without(options, { offline: true });
    await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}`, offline),
      UserError,
      "the cache is incomplete, missing model.safetensors (HF_HUB_OFFLINE forbids",
    );
    server.fault = () => undefined;
    server.requests.length = 0;
    const folder = await resolveModel(`hf:${NAME}`, options);
    assertEquals(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
    assertEquals(server.requests.at(-1)!.range, "bytes=150000-299999");
    assertEquals((await filesBelow(blobs)).filter((name) => name.includes("incom")), []);
  });
});

Deno.test("hub: bytes that are not the right ones are thrown away", async () => {
  await withHub([MODEL], async ({ server, cache, options }) => {
    // An earlier attempt left different content.
    const blobs = join(cache, "models--org--tiny", "blobs");
    await Deno.mkdir(blobs, { recursive: true });
    const partial = join(blobs, `${sha256(WEIGHTS)}.incomplete`);
    await Deno.writeFile(partial, new Uint8Array(1000));
    const folder = await resolveModel(`hf:${NAME}`, options);
    assertEquals(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
    await Deno.remove(join(blobs, sha256(WEIGHTS)));
    await Deno.writeFile(partial, new Uint8Array(400_000)); // longer than it can be
    await resolveModel(`hf:${NAME}`, options);
    // The server always sends wrong data.
    await Deno.remove(join(blobs, sha256(WEIGHTS)));
    server.fault = ({ kind, range }) =>
      kind === "cdn" && range === null ? new Response(new Uint8Array(WEIGHTS.length)) : undefined;
    await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}`, options),
      UserError,
      "model.safetensors: the download does not match the hash that the hub lists",
    );
    assertEquals((await filesBelow(blobs)).includes(sha256(WEIGHTS)), false);
  });
});

Deno.test("hub: a server in trouble is asked again, and reported when it stays so", async () => {
  await withHub([MODEL], async ({ server, options }) => {
    const broken = { info: 2, tree: 1, resolve: 3, cdn: 2, xet: 0 };
    server.fault = ({ kind }) => broken[kind]-- > 0 ? new Response("", { status: 500 }) : undefined;
    const folder = await resolveModel(`hf:${NAME}`, options);
    assertEquals(await filesBelow(folder), NEEDED);
  });
  await withHub([MODEL], async ({ server, options }) => {
    server.fault = () => Response.json({ error: "Internal Error" }, { status: 500 });
    const error = await assertRejects(() => resolveModel(`hf:${NAME}`, options), UserError);
    assertStringIncludes(explain(error), "answers with status 500: Internal Error\n  hint: try ag");
    assertEquals(server.requests.length, 16); // with growing delays: minutes
    server.fault = () => new Response("", { status: 429 });
    await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}`, options),
      UserError,
      "too many requests",
    );
  });
});

Deno.test("hub: a server that ignores ranges sends the file from its beginning", async () => {
  await withHub([MODEL], async ({ server, options }) => {
    let broken = 0;
    server.fault = ({ kind, range }, body) => {
      if (kind !== "cdn" && kind !== "resolve") return undefined;
      if (kind === "resolve" && body.length > 1000) return undefined; // a redirect
      // Half of it at first, and no ETag, as of a plain web server.
      const half = kind === "cdn" && range !== "bytes=0-0" && broken++ === 0;
      return new Response(half ? body.subarray(0, body.length / 2) : body);
    };
    const folder = await resolveModel(`hf:${NAME}`, options);
    assertEquals(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
    assertEquals(await Deno.readTextFile(join(folder, "config.json")), '{"model_type": "llama"}');
    assertEquals(server.requests.at(-1)!.range, "bytes=150000-299999");
  });
});

Deno.test("hub: a web page in place of data is named, with who sent it", async () => {
  const page =
    "<html><head><title>\n Hotel WiFi &amp; login </title></head><body>Welcome</body></html>";
  const html = { headers: { "Content-Type": "text/html; charset=utf-8" } };
  for (const kind of ["info", "tree", "resolve", "cdn"]) {
    await withHub([MODEL], async ({ server, options }) => {
      server.fault = (request) => request.kind === kind ? new Response(page, html) : undefined;
      const error = await assertRefusesAsync(
        () => resolveModel(`hf:${NAME}`, options),
        UserError,
        `hf:org/tiny: ${new URL(server.endpoint).host} was asked, and 127.0.0.1:`,
      );
      assertStringIncludes(error.message, '(200, text/html: "Hotel WiFi &amp; login")');
      assertStringIncludes(error.hint!, "login page");
    });
  }
  await withHub([MODEL], async ({ server, options }) => {
    server.fault = () => new Response(page, { ...html, status: 403 });
    await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}`, options),
      UserError,
      'denies access (403: a web page, "Hotel WiFi &amp; login")',
    );
    server.fault = () =>
      new Response("please log in", { headers: { "Content-Type": "text/plain" } });
    await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}`, options),
      UserError,
      '(200, text/plain: "please log in")',
    );
  });
});

Deno.test("hub: the hub's own protocol, and plain HTTP where that fails", async () => {
  await withHub([MODEL], async ({ server, options }) => {
    server.xet = true;
    const folder = await resolveModel(`hf:${NAME}`, options);
    assertEquals(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
    assertEquals([server.count("xet"), server.count("cdn")], [1, 0]);
  });
  await withHub([MODEL], async ({ server, options }) => {
    server.xet = true;
    let answers = 0;
    server.fault = ({ kind, range }, body) => {
      if (kind !== "xet" || answers++ > 0) return undefined;
      return new Response(cutOff(body, null).body, { status: range ? 206 : 200 });
    };
    const folder = await resolveModel(`hf:${NAME}`, options);
    assertEquals(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
  });
  await withHub([MODEL], async ({ server, options }) => {
    server.xet = true;
    server.fault = ({ kind }) => kind === "xet" ? new Response("", { status: 500 }) : undefined;
    const folder = await resolveModel(`hf:${NAME}`, options);
    assertEquals(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
    assertEquals(server.count("cdn"), 1);
  });
});

Deno.test("hub: stops on abort", async () => {
  await withHub([MODEL], async ({ server, cache, options }) => {
    const controller = new AbortController();
    const onProgress = (event: DownloadEvent) => {
      if (event.type === "download_progress" && event.file === "model.safetensors") {
        controller.abort(new Error("enough"));
      }
    };
    const stopping = { ...options, onProgress, signal: controller.signal };
    await assertRejects(() => resolveModel(`hf:${NAME}`, stopping), Error, "enough");
    const files = await filesBelow(cache);
    assertEquals(files.some((path) => path.endsWith(`blobs/${sha256(WEIGHTS)}`)), false);
    server.requests.length = 0;
    await assertRejects(() => resolveModel(`hf:${NAME}`, stopping), Error, "enough");
    assertEquals(server.requests, []);
  });
});
