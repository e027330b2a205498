/** A hub that asks to wait. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { waitAsked } from "../../src/hub/answers.ts";
import { resolveModel } from "../../src/hub/hub.ts";
import { UserError } from "../../src/options/user_error.ts";
import { assertRefusesAsync } from "../support_errors.ts";
import { MODEL, NAME, withHub } from "./support.ts";

Deno.test("hub: waits as asked, in seconds, until a date or as the hub limits rates", async () => {
  const asks: [string, () => Record<string, string>][] = [
    ["seconds", () => ({ "Retry-After": "1" })],
    ["a date", () => ({ "Retry-After": new Date(Date.now() + 2000).toUTCString() })],
    ["a rate limit", () => ({ RateLimit: '"resolvers";r=0;t=1' })],
  ];
  await Promise.all(
    asks.map(([what, headers], index) =>
      withHub([MODEL], async ({ server, options }) => {
        const refused: number[] = [], asked: number[] = [];
        server.fault = ({ kind }) => {
          if (kind !== "info") return undefined;
          asked.push(Date.now());
          if (refused.length >= 2) return undefined;
          refused.push(Date.now());
          return new Response("", { status: index === 1 ? 503 : 429, headers: headers() });
        };
        await resolveModel(`hf:${NAME}`, options);
        const waits = asked.slice(1).map((at, index) => at - refused[index]);
        // A date has whole seconds: two of them are between one and two.
        assert(waits.every((wait) => wait >= 950), `${what}: ${waits}`);
      })
    ),
  );
});

Deno.test("hub: how long it asks to wait", () => {
  const now = Date.UTC(2026, 0, 31, 23, 59, 58);
  for (
    const [name, value, expected] of [
      ["Retry-After", "1", 1000],
      ["Retry-After", "Sun, 01 Feb 2026 00:00:03 GMT", 5000], // RFC 9110, section 5.6.7
      ["RateLimit", '"resolvers";r=0;t=7', 7000],
    ] as const
  ) assertEquals(waitAsked(new Headers({ [name]: value }), now), expected, value);
  assertEquals(waitAsked(new Headers(), now), undefined);
});

Deno.test("hub: a long wait is announced once, and one too long is refused", async () => {
  await withHub([MODEL], async ({ server, options, events }) => {
    const controller = new AbortController();
    let refusals = 0;
    server.fault = () => {
      if (++refusals === 3) controller.abort(new Error("enough"));
      return new Response("", { status: 429, headers: { "Retry-After": "4" } });
    };
    const impatient = { ...options, signal: controller.signal };
    await assertRejects(() => resolveModel(`hf:${NAME}`, impatient), Error, "enough");
    const messages = events.map((event) => event.type === "notice" && event.message);
    assertEquals(messages, [`${new URL(server.endpoint).host} asks to wait 4 s (status 429)`]);
    server.fault = () => new Response("", { status: 429, headers: { "Retry-After": "3600" } });
    await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}`, options),
      UserError,
      "too many requests",
    );
  });
});
