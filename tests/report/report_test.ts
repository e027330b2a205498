/** Reports, against figures that were made here, and of folders as accidents leave them. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { main } from "../../src/cli/main.ts";
import { thinned } from "../../src/report/charts.ts";
import { readRunFolder } from "../../src/report/read_run.ts";
import { writeReport } from "../../src/report/report.ts";
import { marksOf, parseXml, textsOf } from "../plot/support.ts";
import { runTraining, withWorkshop } from "../train/support.ts";

Deno.test("a run's report: its figures, memory to the byte, every refresh, samples and options", async () => {
  await withWorkshop(async (workshop) => {
    const options = workshop.options("run", { samplePrompt: ["ROMEO:"], sampleTokens: 4 });
    // Stopped and resumed: what the folder holds is that of one run.
    await runTraining(options, { until: 3 });
    const { events } = await runTraining(workshop.options("run", {
      samplePrompt: ["ROMEO:"],
      sampleTokens: 4,
      resume: "auto",
    }));
    const { output } = options, done = events.at(-1);
    assert(done?.type === "done");
    const run = await readRunFolder(output);
    assertEquals(run.missing, []);
    assertEquals(run.steps.map(({ step }) => step), [1, 2, 3, 4, 5, 6]);
    // As many refreshes as the run counts; a first one has nothing to be like.
    assertEquals(run.refreshes.length, done.summary.subspace_refreshes);
    const first = run.refreshes.filter(({ step }) => step === 1);
    assertEquals(first.length, 14);
    assert(first.every(({ similarity }) => similarity === undefined));
    const later = run.refreshes.filter(({ step }) => step > 1);
    assert(later.length && later.every(({ similarity: each }) => each! >= 0 && each! <= 1.0001));
    const samples = events.flatMap((event) => event.type === "sample" ? [event.text] : []);
    assertEquals(run.samples.map(({ text }) => text).slice(-samples.length), samples);

    const { html, markdown } = await writeReport(output);
    const page = await Deno.readTextFile(html), text = await Deno.readTextFile(markdown);
    // One file: it names no other, and no host beside the names of XML.
    assertEquals([...page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, url]) => url), []);
    for (const [url] of page.matchAll(/https?:\/\/[^"\s)]+/g)) assertStringIncludes(url, "w3.org");
    const { final_loss, planned_peak_bytes, gpu_peak_bytes } = done.summary;
    assertEquals(planned_peak_bytes, gpu_peak_bytes);
    for (const document of [page, text]) {
      assertStringIncludes(document, final_loss.toFixed(4));
      assertStringIncludes(document, `(${gpu_peak_bytes} bytes)`);
      assertStringIncludes(document, "updateProjGap");
      assertStringIncludes(document, "ROMEO:");
    }
    const chart = async (name: string) =>
      parseXml(await Deno.readTextFile(join(output, "report", `${name}.svg`)));
    for (const [, file] of text.matchAll(/\]\((report\/[^)]+)\)/g)) {
      parseXml(await Deno.readTextFile(join(output, file)));
    }
    assertEquals(marksOf(await chart("loss"), "line").length, 2);
    // Two layers of seven matrices each.
    const cells = textsOf(await chart("intervals")).filter((cell) => /^\d+ +\(\d+×\)$/.test(cell));
    assertEquals(cells.length, 14);

    await assertDamage(output);
  });
});

/** What is damaged or missing is named, and the rest is shown. */
async function assertDamage(output: string): Promise<void> {
  const at = (name: string) => join(output, name);
  const lines = (await Deno.readTextFile(at("metrics.jsonl"))).split("\n");
  lines.splice(2, 1, lines[2].slice(0, 20));
  // The last line is being written.
  await Deno.writeTextFile(at("metrics.jsonl"), lines.join("\n") + '{"step": 7, "lo');
  await Deno.writeTextFile(at("run.json"), "{");
  await Deno.remove(at("summary.json"));
  await Deno.remove(at("refreshes.jsonl"));
  const said: string[] = [];
  // The run may be named anywhere.
  for (const words of [[output, "--json"], ["--json", output], ["--json", "--run", output]]) {
    const code = await main(["report", ...words], {
      stdout: (line) => said.push(line),
      stderr: () => {},
      write: () => {},
      interactive: false,
      signal: new AbortController().signal,
    });
    assertEquals(code, 0);
  }
  assertEquals(new Set(said).size, 1);
  const { html, missing } = JSON.parse(said[0]);
  assertEquals(missing, [
    "run.json is damaged: options and plan are unknown",
    "summary.json is not there: the run has not ended",
    "metrics.jsonl has 1 damaged line",
    "refreshes.jsonl is not there",
  ]);
  const page = await Deno.readTextFile(html);
  assertStringIncludes(page, "metrics.jsonl has 1 damaged line");
  assertStringIncludes(page, "ROMEO:");
}

Deno.test("a folder that holds no run is refused; texts of others are no markup", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await assertRejects(() => writeReport(folder), Error, "holds no run");
    await assertRejects(() => writeReport(join(folder, "none")), Error, "is no folder");
    const step = { step: 1, loss: 2, lr: 0.1, tokens: 8, step_ms: 1, tokens_per_second: 8 };
    // An infinite loss is null in JSON; a summary of other steps is an earlier run's.
    const lines = [step, { ...step, step: 2, tokens: 16, eval_loss: null, grad_norm: "x" }];
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    await Deno.writeTextFile(join(folder, "metrics.jsonl"), text);
    const summary = { final_loss: 2, tokens: 8, gpu_peak_bytes: null };
    await Deno.writeTextFile(join(folder, "summary.json"), JSON.stringify(summary));
    assertEquals((await readRunFolder(folder)).summary, undefined);
    await Deno.writeTextFile(
      join(folder, "summary.json"),
      JSON.stringify({ ...summary, tokens: 16, eval_loss: null }),
    );
    const { summary: ended, steps } = await readRunFolder(folder);
    assertEquals(ended, { final_loss: 2, tokens: 16 });
    assertEquals(Object.keys(steps[1]), Object.keys(step));
    const evil = {
      step: 1,
      prompt: "<img src=x onerror=alert(1)>\n# head",
      text: "```\n</pre><script>",
    };
    await Deno.writeTextFile(join(folder, "samples.jsonl"), `${JSON.stringify(evil)}\n`);
    const { html, markdown } = await writeReport(folder);
    assert(!/<img|<script/.test(await Deno.readTextFile(html)));
    const written = await Deno.readTextFile(markdown);
    assert(!/^#+ head/m.test(written), written);
    assertStringIncludes(written, "````text\n```\n</pre><script>\n````");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a report of 100,000 steps is thinned to a few hundred points, and written in seconds", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const steps = Array.from({ length: 100_000 }, (_, at) => ({
      step: at + 1,
      loss: 2 + 1 / (at + 1),
      lr: 0.01,
      tokens: 1,
      tokens_per_second: 1,
      step_ms: 1,
      gpu_bytes: 1,
      gpu_peak_bytes: 1,
      subspace_refreshes: 0,
    }));
    const points = thinned(steps, ({ loss }) => loss);
    assert(points.length <= 400 && points.at(-1)!.x === 100_000);
    // The first point is the mean of its 250 steps, by the harmonic number.
    const harmonic = Array.from({ length: 250 }, (_, at) => 1 / (at + 1)).reduce((a, b) => a + b);
    assert(Math.abs(points[0].y - (2 + harmonic / 250)) < 1e-12);
    await Deno.writeTextFile(
      join(folder, "metrics.jsonl"),
      steps.map((step) => JSON.stringify(step)).join("\n") + "\n",
    );
    const { html } = await writeReport(folder);
    assert((await Deno.stat(html)).size < 300_000);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
