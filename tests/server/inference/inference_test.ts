/** The inference process: what it survives, and what survives its crash. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "@std/path";
import OpenAI from "openai";
import { ApiError } from "../../../src/server/api_error.ts";
import { Turns } from "../../../src/server/inference/turns.ts";
import type { ModelRecord } from "../../../src/server/services.ts";
import { writeAdapter, writeChatModel } from "../../inference/support.ts";
import { type ModelServer, serverTest, withModelServer } from "./support.ts";
import { job } from "../store/support.ts";
import { until } from "../until.ts";

const HELLO = [{ role: "user" as const, content: "Hello" }];
const ASKED = { model: "tiny", messages: HELLO, max_tokens: 4, temperature: 0 };

/** At about ten milliseconds per token, longer than any of these tests. */
const ENDLESS = { ...ASKED, max_tokens: 4000, stream: true as const };
const LONG = { config: { maxPositions: 4096 }, files: { "generation_config.json": {} } };
/** No token of its configuration ends its texts. */
const TALKER = { ...LONG, config: { ...LONG.config, eosTokenId: undefined } };

const say = async ({ client }: ModelServer, change: Partial<typeof ASKED> = {}) =>
  (await client.chat.completions.create({ ...ASKED, ...change })).choices[0].message.content;

const isThere = (pid: number) => {
  try {
    Deno.kill(pid, "SIGCONT");
    return true;
  } catch {
    return false;
  }
};

serverTest(
  "requests wait for one another, and a client that leaves frees the process",
  () =>
    withModelServer(
      { write: { tiny: TALKER }, options: { modelIdle: 10, maxWaiting: 1 } },
      async (server) => {
        const { client, host } = server;
        assertEquals(host.loaded, undefined, "nothing is loaded before it is asked");
        const answers = await Promise.all([say(server), say(server)]);
        assertEquals(answers[0], answers[1]);
        assertEquals(host.loaded, "tiny");
        const { pid } = host;

        const stream = await client.chat.completions.create(ENDLESS);
        const pieces = stream[Symbol.asyncIterator]();
        for (let read = 0; read < 3; read++) await pieces.next();
        const waiting = say(server);
        // Only as many wait as there is room for.
        let refused: unknown;
        await until("one is too many", () => {
          say(server).catch((error) => refused ??= error);
          return refused !== undefined;
        });
        assert(refused instanceof OpenAI.RateLimitError, String(refused));
        assertEquals(refused.code, "too_many_requests");
        assertMatch(refused.headers.get("retry-after")!, /^[1-9]\d*$/);

        let answered = false;
        waiting.then(() => answered = true);
        stream.controller.abort();
        await until("the next one is answered", () => answered);
        assertEquals(await waiting, answers[0]);

        // A client that aborts a non-streamed answer, and one that leaves the queue.
        const one = new AbortController(), other = new AbortController();
        const { stream: _, ...whole } = ENDLESS;
        const leaving = [one, other].map(({ signal }) =>
          client.chat.completions.create(whole, { signal }).catch((error) => error)
        );
        await until("it is at it", () => host.loaded === "tiny");
        other.abort();
        one.abort();
        for (const each of leaving) assert(await each instanceof OpenAI.APIUserAbortError);
        assertEquals(await say(server), answers[0]);
        assertEquals(host.pid, pid, "it is the same process all the time");
      },
    ),
);

serverTest(
  "a process that is killed fails its request, and no other",
  () =>
    withModelServer({ write: { tiny: TALKER } }, async (server) => {
      const { client, host } = server;
      const expected = await say(server);
      const { pid } = host;
      const error = await assertRejects(
        async () => {
          const stream = await client.chat.completions.create(ENDLESS);
          for await (const { choices: [{ delta }] } of stream) {
            if (delta.content && isThere(pid!)) Deno.kill(pid!, "SIGKILL");
          }
        },
        OpenAI.APIError,
        "model tiny: its process ended (SIGKILL); the next request starts another",
      );
      assertEquals([error.code, error.type], ["model_crashed", "server_error"]);
      assertEquals(await say(server), expected);
      assert(host.pid !== pid);

      Deno.kill(host.pid!, "SIGKILL");
      await until("it is known", () => host.loaded === undefined);
      assertEquals(await say(server), expected, "killed between two requests, nobody notices");

      // Stopped, so that it is in the middle of the answer when it is killed.
      Deno.kill(host.pid!, "SIGSTOP");
      const whole = say(server).catch((error) => error);
      await new Promise((resolve) => setTimeout(resolve, 500));
      Deno.kill(host.pid!, "SIGKILL");
      const { status, code } = await whole;
      assertEquals([status, code], [503, "model_crashed"]);
    }),
);

serverTest(
  "another model takes the place; nobody asked for a while, the process ends",
  () =>
    withModelServer({
      write: { tiny: LONG, other: { ...LONG, config: { layers: 1 } } },
      options: { modelIdle: 1 / 600, maxWaiting: 32 },
    }, async (server) => {
      const { host, jobFolder, store } = server;
      const texts = await Promise.all([say(server), say(server, { model: "other" })]);
      assert(texts[0] !== texts[1]);
      assertEquals(await say(server), texts[0]);
      const { pid } = host;
      await until("it is unloaded", () => host.loaded === undefined);
      await until("the process has ended", () => !isThere(pid!));

      // An adapter is applied to its job's base model.
      store.jobs.insert({
        id: "ftjob-1",
        kind: "fine_tuning",
        status: "succeeded",
        createdAt: 1,
        turn: 1,
        model: "tiny",
        request: {},
        options: { optimizer: "lora" },
        trainingFiles: [],
        validationFiles: [],
        plan: { plannedPeakBytes: 0, byPurpose: {} as never, diskBytes: 0 },
        resultModel: "ft:tiny::1",
        resultFiles: [],
      });
      await writeAdapter(join(jobFolder("ftjob-1"), "adapter"), 3);
      assert(await say(server, { model: "ft:tiny::1" }) !== texts[0]);
    }),
);

const OTHER = { worker: "server-2", card: "a card" };

serverTest(
  "what does not fit, or is broken, is told in a status, without where it lies",
  () =>
    withModelServer({
      write: { tiny: LONG, broken: {} },
      options: { modelIdle: 10, gpuMemory: 0.0012, maxWaiting: 32 },
      own: [{ ...OTHER, worker: "server-1", environment: {} }, { ...OTHER, environment: {} }],
    }, async (server) => {
      const { client, host, path, store } = server;
      // A job on another card takes nothing from it.
      const plan = { plannedPeakBytes: 2 ** 40, byPurpose: {} as never, diskBytes: 0 };
      store.jobs.insert(job({ id: "ftjob-3", status: "running", plan, runsOn: OTHER }));
      assert(await say(server));
      const error = await assertRejects(
        () => client.chat.completions.create({ ...ASKED, max_tokens: 3000 }),
        OpenAI.InternalServerError,
      );
      assertEquals([error.status, error.code], [503, "insufficient_memory"]);
      assertMatch(
        error.message,
        /3\d\d\d tokens of prompt and answer need [\d.]+ MiB of GPU memory/,
      );
      assert(await say(server), "shorter ones go on");

      await Deno.truncate(join(path("broken"), "model.safetensors"), 1000);
      const broken = await assertRejects(
        () => client.chat.completions.create({ ...ASKED, model: "broken" }),
        OpenAI.BadRequestError,
      );
      assertMatch(broken.message, /^400 model broken: .*model\.safetensors/);
      assert(!broken.message.includes(path("")), broken.message);
      assertEquals(host.loaded, undefined);

      const missing = await assertRejects(
        () => client.chat.completions.create({ ...ASKED, model: "../tiny", stream: true }),
        OpenAI.NotFoundError,
      );
      assertEquals([missing.code, missing.param], ["model_not_found", "model"]);

      // One on the same card leaves less memory.
      const runsOn = { ...OTHER, worker: "server-1" };
      const small = { ...plan, plannedPeakBytes: 1.2e6 };
      store.jobs.insert(job({ id: "ftjob-4", status: "running", plan: small, runsOn }));
      const full = await assertRejects(() => say(server), OpenAI.InternalServerError);
      assertMatch(
        full.message,
        /the model's weights need \d+\.\d+ KiB of GPU memory, \d+\.\d+ KiB of \d+\.\d+ KiB available/,
      );
    }),
);

serverTest(
  "a reader who takes nothing loses the turn; a stop ends what is being made",
  () =>
    withModelServer({ write: { tiny: TALKER }, stallMs: 200 }, async (server) => {
      const { host } = server;
      const request = { model: "tiny", prompt: { messages: HELLO }, maxTokens: 4000 };
      const idler = host.generate(request, new AbortController().signal);
      await idler.next();
      assert(await say(server), "others get their turn");
      const error = await assertRejects(() => idler.next(), ApiError, "was not read for 0.2 s");
      assertEquals(error.details.code, "reader_too_slow");

      const running = host.generate(request, new AbortController().signal);
      await running.next();
      const waiting = say(server).catch((error) => error);
      await new Promise((resolve) => setTimeout(resolve, 100));
      const { pid } = host;
      await host.stop();
      assert(!isThere(pid!));
      assertEquals((await waiting).code, "server_stopping");
      await assertRejects(async () => {
        for await (const _ of running);
      }, ApiError);
      await assertRejects(() => say(server), OpenAI.InternalServerError, "the server is stopping");
    }),
);

serverTest("the folder of a checkpoint is made before it is loaded", async () => {
  const folder = await Deno.makeTempDir();
  const made: string[] = [];
  const model: ModelRecord = {
    name: "ft:a::1:ckpt-step-2",
    createdAt: 1,
    kind: "checkpoint",
    path: join(folder, "step-2"),
  };
  await withModelServer({
    models: { get: () => Promise.resolve(model) },
    materialize: async ({ name, path }) => {
      made.push(name);
      await writeChatModel(path, LONG);
    },
  }, async (server) => {
    assert(await say(server, { model: model.name }));
    assert(await say(server, { model: model.name }));
    assertEquals(made, [model.name]);
  });
  await Deno.remove(folder, { recursive: true });
});

Deno.test("turns go round in order; who unloads comes next, who leaves is passed over", async () => {
  const turns = new Turns(3), order: string[] = [];
  const take = async (name: string, taking: Promise<() => void>) => {
    const end = await taking;
    order.push(name);
    await Promise.resolve();
    end();
  };
  const leaving = new AbortController();
  const first = await turns.take();
  const all = [
    take("a", turns.take()),
    take("b", turns.take(leaving.signal)).catch(() => {}),
    take("c", turns.take()),
  ];
  await assertRejects(() => turns.take(), ApiError, "3 requests are already waiting for an answer");
  all.push(take("unload", turns.takeNext()));
  leaving.abort();
  first();
  await Promise.all(all);
  assertEquals(order, ["unload", "a", "c"]);
  assert(turns.idle);
});

Deno.test("who is refused learns when a place is likely to be free", async () => {
  let now = 0;
  const turns = new Turns(1, () => now);
  const refused = async () => {
    const { details } = await assertRejects(() => turns.take(), ApiError);
    return Number(details.headers!["retry-after"]);
  };
  let end = await turns.take();
  let waiting = turns.take();
  assertEquals(await refused(), 1, "nothing is known yet");
  now += 8000;
  assertEquals(await refused(), 8, "the first may take as long again");
  now += 2000;
  end();
  end = await waiting;
  waiting = turns.take();
  now += 4000;
  assertEquals(await refused(), 6, "10 s like the one before, of which 4 are over");
  now += 16_000;
  assertEquals(await refused(), 20);
  end();
  (await waiting)();
});
