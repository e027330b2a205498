/** Computations of the dashboard, without a browser. */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { follow } from "../../../src/server/dashboard/event_source.js";
import * as format from "../../../src/server/dashboard/format.js";
import { readOptions } from "../../../src/server/dashboard/openapi.js";
import { placesOf } from "../../../src/server/dashboard/jobs.js";
import { paceOf } from "../../../src/server/dashboard/pace.js";
import { fixedInterval, placeOf, refreshMap } from "../../../src/server/dashboard/refresh_map.js";
import { parseRoute } from "../../../src/server/dashboard/router.js";
import { lossColumns, RunData, smooth } from "../../../src/server/dashboard/run_data.js";
import { fakeDocument } from "./fake_plan.ts";

const step = (step: number, more = {}) => ({
  id: `ftevent-${step}`,
  job_id: "ftjob-1",
  created_at: 0,
  level: "info",
  message: "",
  type: "metrics",
  data: {
    step,
    train_loss: step,
    lr: 1,
    tokens: step,
    tokens_per_second: 1,
    step_ms: 1,
    gpu_bytes: 1,
    gpu_peak_bytes: step,
    subspace_refreshes: 0,
    ...more,
  },
});

Deno.test("numbers as people read them", () => {
  assertEquals(
    [0, 1023, 1536, 1.234 * 2 ** 30, 300 * 2 ** 20, undefined].map(format.bytes),
    ["0 B", "1023 B", "1.50 KiB", "1.23 GiB", "300 MiB", "–"],
  );
  assertEquals([0.4, 12, 130, 3600, 93_784].map(format.duration), [
    "<1 s",
    "12 s",
    "2 min 10 s",
    "1 h",
    "1 d 2 h",
  ]);
  assertEquals([7, 12_345, 1_234_567, 3.25].map(format.compact), ["7", "12.3k", "1.2M", "3.3"]);
  assertEquals([1.5, 0.00001, Number.NaN].map((it) => format.loss(it)), ["1.5000", "1.00e-5", "–"]);
  assertEquals([0, 0.0312, 1.744, 21_300, 1e-5, NaN].map(format.norm), [
    "0.00",
    "0.0312",
    "1.74",
    "2.13e+4",
    "1.00e−5",
    "–",
  ]);
  assertEquals([0, 0.01, 5, 0.1 + 0.2, 2e-5, 1e6].map(format.shortest), [
    "0",
    "0.01",
    "5",
    "0.3",
    "2e−5",
    "1e6",
  ]);
  assertEquals(format.ago(100, 100 + 7200), "2 h ago");
  assertEquals(format.inTheMiddle("a".repeat(60) + "-v2.jsonl", 21), "aaaaaaaaaa…a-v2.jsonl");
  // Of a clock that was set back since.
  assert(/1970/.test(format.ago(100 + 7200, 100)), format.ago(100 + 7200, 100));
});

Deno.test("no list hides a single item behind words that take as much room", () => {
  const shown = [0, 5, 6, 7, 8, 40].map((count) => format.shownOf(count, 6));
  assertEquals(shown, [0, 5, 6, 7, 6, 6]);
  assertEquals(format.shownOf(40, Infinity), 40);
});

Deno.test("a run of 50,000 steps is kept in a few thousand points, its end exactly", () => {
  const data = new RunData();
  for (let i = 1; i <= 50_000; i++) data.add(step(i));
  assert(data.steps.length <= 4000, `${data.steps.length} points`);
  const last = data.steps.slice(-500);
  assertEquals(last.map((it) => it.step), Array.from({ length: 500 }, (_, i) => 49_501 + i));
  assert(data.steps.every((it, i) => i === 0 || it.step > data.steps[i - 1].step));
  // The early ones stand as close as the later ones.
  const older = data.steps.slice(1, 1000);
  const distances = new Set(older.map((it, i) => it.step - data.steps[i].step));
  assertEquals([...distances], [32]);
  assertEquals(data.steps[0].step, 1);
});

Deno.test("duplicate events change nothing", () => {
  const data = new RunData();
  const events = [1, 2, 3].map((i) =>
    step(i, { valid_loss: i, valid_perplexity: i, refreshed: ["a"] })
  );
  for (const event of [...events, ...events]) data.add(event);
  assertEquals([data.steps.length, data.evaluations.length, data.refreshes.length], [3, 3, 3]);
});

Deno.test("evaluations stand between the steps, before the first and at those thinned away", () => {
  const steps = [2, 5].map((it) => step(it).data);
  const evaluations = [0, 3, 5, 9].map((it) => ({
    step: it,
    valid_loss: it,
    valid_perplexity: 1,
  }));
  assertEquals(lossColumns(steps, evaluations), {
    at: [0, 2, 3, 5, 9],
    train: [null, 2, null, 5, null],
    valid: [0, null, 3, 5, 9],
  });
});

Deno.test("smoothing keeps a constant, and does not lag behind a slope", () => {
  assertEquals(smooth(new Array(50).fill(2)), new Array(50).fill(2));
  const slope = smooth(Array.from({ length: 1000 }, (_, i) => i)) as number[];
  assert(Math.abs(slope[500] - 500) < 1e-6, `${slope[500]}`);
  assertEquals(smooth([null, 1, null]), [null, 1, null]);
});

const timed = (count: number, ms: (step: number) => number) =>
  Array.from({ length: count }, (_, i) => ({
    step: i + 1,
    step_ms: ms(i + 1),
    tokens_per_second: 1000 * 512 / ms(i + 1),
  }));

Deno.test("the pace is that of steps: no evaluation, compilation or stall makes it collapse", () => {
  const even = paceOf(timed(200, () => 500));
  assertEquals(even.secondsPerStep, 0.5);
  assertAlmostEquals(even.tokensPerSecond!, 1024, 1e-6);
  // The first step compiles shaders; the suspended machine of step 30 slept for an hour.
  const stalled = paceOf(timed(40, (step) => step === 1 ? 30_000 : step === 30 ? 3.6e6 : 500));
  assert(stalled.secondsPerStep! < 0.6, `${stalled.secondsPerStep}`);
  // A step in ten refreshes subspaces and takes three times as long: that is its pace.
  const refreshing = paceOf(timed(200, (step) => step % 10 ? 500 : 1500));
  assertAlmostEquals(refreshing.secondsPerStep!, 0.6, 0.02);
  assertEquals(paceOf([]), {});
  assertEquals(paceOf(timed(1, () => 700)).secondsPerStep, 0.7);

  const data = new RunData();
  for (let i = 1; i <= 100; i++) {
    const evaluated = i % 20 === 0 ? { valid_loss: 1, tokens_per_second: 1, step_ms: 9e4 } : {};
    data.add(step(i, { tokens_per_second: 1024, step_ms: 500, ...evaluated }));
  }
  assertEquals(paceOf(data.timed).secondsPerStep, 0.5);
  assertEquals(data.steps.filter((it) => data.speedOf(it) === null).map((it) => it.step), [
    20,
    40,
    60,
    80,
    100,
  ]);
});

Deno.test("a stream that the server has ended for good (204) is not asked for again", async () => {
  const answers = [
    () => new Response("id: 7\ndata: last\n\n"),
    () => new Response(null, { status: 204 }),
  ];
  const asked: (string | null)[] = [], events: string[] = [];
  const real = globalThis.fetch;
  globalThis.fetch = (_, init) => {
    asked.push(new Headers(init?.headers).get("last-event-id"));
    return Promise.resolve(answers[asked.length - 1]());
  };
  try {
    const signal = AbortSignal.timeout(10_000);
    await follow("/stream", {
      signal,
      onOpen: () => {},
      onEvent: ({ data }) => events.push(data),
      onLost: () => {},
    });
    assertEquals([signal.aborted, asked, events], [false, [null, "7"], ["last"]]);
  } finally {
    globalThis.fetch = real;
  }
});

Deno.test("refreshes by layer and step", () => {
  const layer = (i: number, name: string) => `model.layers.${i}.self_attn.${name}.weight`;
  const refreshes = [
    { step: 1, parameters: [layer(10, "q_proj"), layer(2, "v_proj"), layer(2, "q_proj")] },
    { step: 7, parameters: [layer(2, "q_proj")] },
  ];
  const map = refreshMap(refreshes, 4, 2);
  assertEquals(map.rows.map(({ layer, projection, total }) => `${layer} ${projection} ${total}`), [
    "2 q_proj 2",
    "2 v_proj 1",
    "10 q_proj 1",
  ]);
  assertEquals(map.counts, [[1, 0, 0, 1], [1, 0, 0, 0], [1, 0, 0, 0]]);
  assertEquals([map.total, map.most], [4, 1]);
  assertEquals(placeOf("lm_head.weight"), { layer: "", projection: "lm_head" });
  // At steps 1, 201 and 401.
  assertEquals([0, 1, 200, 201, 401].map((it) => fixedInterval(3, it, 200)), [0, 3, 3, 6, 9]);
});

Deno.test("where the processes of a job run, and whose its plan is", () => {
  const job = { id: "ftjob-1", status: "running", created_at: 0 };
  const [first, second] = ["server-1", "server-2"].map((worker) => ({ worker, card: "a card" }));
  assertEquals(placesOf({ ...job, runs_on: null }), []);
  const places = placesOf({ ...job, runs_on: { ...first, others: [second] } });
  assertEquals(places.map(({ worker }) => worker), ["server-1", "server-2"]);
  assertEquals([{}, { ranks: 1 }, { ranks: 2 }].map(format.eachOf), [
    "",
    "",
    "in each of 2 processes",
  ]);
});

Deno.test("addresses within the page", () => {
  const place = (hash: string) => {
    const { view, id, tab } = parseRoute(hash);
    return [view, id, tab];
  };
  assertEquals(place(""), ["home", "", ""]);
  assertEquals(place("#/jobs/ftjob-1/log"), ["job", "ftjob-1", "log"]);
  assertEquals(place("#/chat/ft%3Aorg%2Fllama%3Ax"), ["chat", "ft:org/llama:x", ""]);
  assertEquals(place("#/chat/%E0%A4%A"), ["chat", "%E0%A4%A", ""]);
  assertEquals(place("#/files"), ["files", "", ""]);
  assertEquals(parseRoute("#/new?from=ftjob-1").query.get("from"), "ftjob-1");
});

Deno.test("options are read from the document", () => {
  const options = new Map(readOptions(fakeDocument()).map((info) => [info.name, info]));
  assert(!options.has("epochs"), "n_epochs says the same");
  assertEquals(options.get("batch_size")!.type, "integer");
  assertEquals(options.get("batch_size")!.fallback, "4");
  assertEquals(options.get("rank")!.orWord, true);
  assertEquals(
    options.get("rank")!.fallback,
    "a quarter of the model's width; 1 with apollo_mini, q_apollo_mini",
  );
  assertEquals(options.get("sample_prompt")!.type, "list");
  assertEquals(options.get("scheduler")!.choices, ["cosine", "linear", "constant"]);
  assertEquals(options.get("beta1")!.section, "Optimizer");
});
