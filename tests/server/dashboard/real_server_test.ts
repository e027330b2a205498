/** The dashboard over the real server: a job from the form to a model that answers. */
import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import { writeChatModel } from "../../inference/support.ts";
import { withServer } from "../support.ts";
import { accessibilityFaults } from "./accessibility.ts";
import { CHROMIUM, inkOf, until, visit } from "./browser.ts";

const EXAMPLE = {
  messages: [
    { role: "user", content: "Which planet is red?" },
    { role: "assistant", content: "Mars is." },
  ],
};
const EXAMPLES = `${JSON.stringify(EXAMPLE)}\n`.repeat(12);

/**
 * 60 steps, enough for the tiny model to learn something, with refreshes and evaluations to draw.
 */
const NUMBERS = {
  "Batch size": "2",
  "Learning rate": "0.02",
  "Sequence length": "64",
  "Rank": "16",
};
const OPTIONS = {
  steps: "60",
  update_proj_gap: "10",
  eval_every: "20",
  sample_prompt: "Which planet is red?",
};

Deno.test({
  name: "dashboard: a real job, from the form to a chat with its result",
  ignore: !CHROMIUM,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const model = await Deno.makeTempDir();
    try {
      await writeChatModel(model);
      await withServer(
        { models: { tiny: model } },
        ({ url }) =>
          visit(url, {}, async ({ page }) => {
            // The machine has two cores, and the model is trained on them.
            page.setDefaultTimeout(120_000);
            await page.getByRole("heading", { name: "Train your first model" }).waitFor();
            await page.getByText("In the models folder: tiny.").waitFor();
            await page.locator("main").getByRole("link", { name: "New job" }).click();
            await startJob(page);
            await watchJob(page);
            await talk(page);
            await makeRoom(page);
          }),
      );
    } finally {
      await Deno.remove(model, { recursive: true });
    }
  },
});

async function startJob(page: Page): Promise<void> {
  await page.locator("input[type=file]").first().setInputFiles({
    name: "planets.jsonl",
    mimeType: "application/jsonl",
    buffer: Buffer.from(EXAMPLES),
  });
  await page.locator(".file-field select").first().getByText("planets.jsonl").waitFor({
    state: "attached",
  });
  await page.getByText("Validation file", { exact: true }).first().click();
  await page.getByLabel("Validation file: previous uploads").selectOption({ index: 1 });
  for (const [label, value] of Object.entries(NUMBERS)) {
    await page.getByLabel(label, { exact: true }).fill(value);
  }
  await page.getByText("All options").click();
  for (const [label, value] of Object.entries(OPTIONS)) {
    await page.getByLabel(label, { exact: true }).fill(value);
  }
  await page.getByText("Fits", { exact: true }).waitFor();
  assertEquals(await accessibilityFaults(page), []);
  // Refusals by the server are shown at the field.
  await page.getByLabel("Sequence length").fill("100000");
  await page.locator("[data-param=seq_len] .field-error:not([hidden])").waitFor();
  await page.getByLabel("Sequence length").fill("64");
  await page.getByText("Fits", { exact: true }).waitFor();
  await page.getByLabel("Name").fill("planets");
  await page.getByRole("button", { name: "Start job" }).click();
  await page.getByRole("heading", { name: "planets" }).waitFor();
}

async function watchJob(page: Page): Promise<void> {
  const steps = `Number(/after (\\d+) steps/.exec(
    document.querySelector(".chart p.visually-hidden").textContent)?.[1] ?? 0)`;
  await until(page, `${steps} > 0`, 120_000);
  const early = await page.evaluate(steps) as number;
  await until(page, `${steps} > ${early}`, 120_000);
  await page.locator(".job-header .status[data-status=succeeded]").waitFor();
  await until(page, `${steps} === 60`);
  const told = await page.locator(".chart p.visually-hidden").first().textContent();
  const [, first, last] = /: ([\d.]+) at step 1, .*, ([\d.]+) now/.exec(told!)!;
  assert(Number(last) < 0.8 * Number(first), told!);
  assert(await inkOf(page, ".chart canvas") > 200, "a curve is drawn");
  assert(await inkOf(page, ".heatmap-canvas") > 50, "a heat map is drawn");
  assert(
    /refreshes of \d+ matrices in 60 steps/.test(
      (await page.locator(".heatmap-summary").textContent())!,
    ),
  );
  assertEquals(await page.locator("section[aria-label=Evaluations] tbody tr").count(), 4);
  assert(await page.locator("section[aria-label=Checkpoints]").isVisible());
  assertEquals(await accessibilityFaults(page), []);
  await page.getByRole("tab", { name: "Samples" }).click();
  await page.locator(".sample-prompt", { hasText: "Which planet is red?" }).first().waitFor();
  await page.getByRole("tab", { name: "Log" }).click();
  await page.getByText("The job has successfully completed").waitFor();
  await page.getByRole("tab", { name: "Details" }).click();
  await page.getByText("q_galore_adamw8bit").waitFor();
}

async function talk(page: Page): Promise<void> {
  await page.locator(".job-actions").getByRole("link", { name: "Chat" }).click();
  await page.getByText("Settings").click();
  await page.getByLabel("Maximum tokens").fill("12");
  await page.getByLabel("Temperature").fill("0");
  await page.getByLabel("Message").fill("Which planet is red?");
  await page.keyboard.press("Enter");
  await page.getByText(/^\d+ tokens · /).waitFor();
  const said = await page.locator(".bubble[data-role=assistant] .bubble-text").textContent();
  assertEquals(said, "Mars is.");
  const shown = await page.getByLabel("Model", { exact: true }).inputValue();
  assert(/^ft:tiny:planets:\w{8}$/.test(shown), shown);
}

async function makeRoom(page: Page): Promise<void> {
  await page.getByRole("link", { name: "Files and models" }).click();
  await page.getByText(/^2 files, [\d.]+ KiB$/).waitFor();
  for (
    const [button, left] of [
      ["Delete planets.jsonl", /^1 file, /],
      [/^Delete step_metrics_ftjob-\w{24}\.csv$/, /^No files: /],
      ["Delete planets", /^No models of jobs: /],
    ] as const
  ) {
    await page.getByRole("button", { name: button, exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText(left).waitFor();
  }
  await page.locator(".job-item", { hasText: "planets" }).click();
  await page.getByRole("heading", { name: "planets" }).waitFor();
  await page.getByText("Succeeded", { exact: true }).first().waitFor();
  assertEquals(await page.locator(".job-actions").getByRole("link", { name: "Chat" }).count(), 0);
}
