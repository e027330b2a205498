/** The dashboard in a real browser, over an API with fake jobs. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import { accessibilityFaults, sidewaysScroll } from "./accessibility.ts";
import { browserTest, inkOf, until, visit } from "./browser.ts";
import { fakeServer } from "./fake_server.ts";

const RUNNING = "#/jobs/ftjob-running";
const CHAT = `#/chat/${encodeURIComponent("ft:smollm2-135m:recipes:Ab12Cd34")}`;
const VIEWS = [
  RUNNING,
  `${RUNNING}/samples`,
  `${RUNNING}/log`,
  `${RUNNING}/details`,
  "#/jobs/ftjob-failed",
  "#/jobs/ftjob-queued",
  "#/new",
  "#/files",
  CHAT,
];

/** The loss chart's text for screen readers. */
const lossSummary = (page: Page) =>
  page.locator(".chart").first().locator("p.visually-hidden").textContent();

const settled = (page: Page) => page.waitForTimeout(400);

browserTest("a job is started in the form, its curve grows, and its model answers", async () => {
  await using server = fakeServer({ pace: 60 });
  await visit(`${server.url}/#/new`, {}, async ({ page }) => {
    await page.locator(".plan-figure strong").waitFor();
    assertStringIncludes(
      (await page.locator(".plan-figure").textContent())!,
      "2.31 GiB of 6.00 GiB",
    );
    assertEquals(await page.getByLabel("Rank", { exact: true }).getAttribute("placeholder"), "144");

    // Does not fit, and an alternative.
    await page.getByLabel("Batch size", { exact: true }).fill("64");
    await page.getByText("Does not fit").waitFor();
    assert(await page.getByRole("button", { name: "Start job" }).isDisabled());
    await page.getByRole("button", { name: /Batch size 16/ }).click();
    await page.getByText("Fits", { exact: true }).waitFor();
    assertEquals(await page.getByLabel("Batch size", { exact: true }).inputValue(), "16");

    // What fits at most, with other settings.
    const asked = page.waitForRequest((request) =>
      /"activation_checkpointing":true/.test(request.postData() ?? "")
    );
    const most = page.getByRole("row", { name: /^Activation checkpointing on/ });
    await most.getByRole("button", { name: "24 sequences of 2048" }).click();
    await asked;
    assertEquals(await page.getByLabel("Batch size").inputValue(), "24");

    // An invalid value, reported at its field.
    await page.getByLabel("Batch size", { exact: true }).fill("-1");
    await page.getByText("must be a number above 0, got -1").waitFor();
    assertEquals(
      await page.getByLabel("Batch size", { exact: true }).getAttribute("aria-invalid"),
      "true",
    );
    await page.getByLabel("Batch size", { exact: true }).fill("8");

    // No file, a bad file, a good file.
    await page.getByText("Fits", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Start job" }).click();
    await page.getByText("is required").waitFor();
    const file = page.locator("input[type=file]").first();
    const upload = (name: string, text: string) =>
      file.setInputFiles({
        name,
        mimeType: "application/jsonl",
        buffer: Buffer.from(text),
      });
    await upload("bad.jsonl", '{"text": "one"}\n{"text": \n');
    await page.getByText("bad.jsonl: line 2: is no JSON").waitFor();
    await upload("good.jsonl", '{"text": "one"}\n{"text": "two"}\n');
    await until(page, "document.querySelector('.file-field select').value === 'file-1'");

    await page.getByLabel("Name").fill("sonnets");
    await page.getByRole("button", { name: "Start job" }).click();
    await page.getByRole("heading", { name: "sonnets" }).waitFor();
    await page.locator(".chart canvas").first().waitFor();
    const early = await lossSummary(page);
    await until(
      page,
      `document.querySelector(".chart p.visually-hidden").textContent !== ${JSON.stringify(early)}`,
    );
    assert(/after \d+ steps: 4\.\d+ at step 1, lowest/.test((await lossSummary(page))!));
    assert(await inkOf(page, ".chart canvas") > 200, "a curve is drawn");
    assert(await inkOf(page, ".heatmap-canvas") > 200, "a heat map is drawn");
    await page.getByText(/84 refreshes of 84 matrices/).waitFor();

    await page.getByText("Succeeded", { exact: true }).first().waitFor();
    await page.getByRole("link", { name: "Chat" }).last().waitFor();
    await page.locator(".job-actions").getByRole("link", { name: "Chat" }).click();
    await page.getByLabel("Message").fill("hello");
    await page.keyboard.press("Enter");
    await page.locator(".bubble-text", { hasText: "<b>This</b> is no markup." }).waitFor();
    await page.getByText(/tokens · [\d.]+ tok\/s/).waitFor();
  });
});

browserTest("an answer is streamed, stopped, and remembered", async () => {
  await using server = fakeServer({ pace: 300 });
  await visit(`${server.url}/${CHAT}`, {}, async ({ page }) => {
    await page.getByLabel("Message").fill("first");
    await page.keyboard.press("Enter");
    await page.getByText("You said “first”. A calm").waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByText("stopped").waitFor();
    const [request] = await Promise.all([
      page.waitForRequest(/chat\/completions/),
      page.getByLabel("Message").fill("second").then(() => page.keyboard.press("Enter")),
    ]);
    const { messages } = request.postDataJSON();
    assertEquals(messages.map(({ role }: { role: string }) => role), ["user", "assistant", "user"]);
    await page.getByRole("button", { name: "New chat" }).click();
    await page.getByText("Chat with recipes").waitFor();
  });
});

browserTest("the overview says which examples are learned, and which are not", async () => {
  await using server = fakeServer({ pace: 400 });
  await visit(`${server.url}/${RUNNING}`, {}, async ({ page }) => {
    await page.getByRole("region", { name: "Examples" })
      .getByText("940 of 1,000 (48 held out), 120,000 trained tokens").waitFor();
    const warnings = page.getByRole("region", { name: "Warnings" });
    await warnings.getByText("2 more").click();
    await warnings.getByText("poems.jsonl:90").waitFor();
    assertEquals(await warnings.getByRole("listitem").allTextContents(), [
      "Left out: 3 examples with tool calls that the chat template does not write " +
      "(poems.jsonl:17; poems.jsonl:31; poems.jsonl:90)",
      "Skipped: 9 examples without an assistant turn (poems.jsonl:2; and 8 more)",
      "1 example with thoughts that the chat template removes: they are not learned (poems.jsonl:5)",
      "Truncated to 512 tokens: 20 of 36 examples",
      "None of the 36 examples fell into the held-out share of 0.05, so nothing is evaluated",
      "Fields ignored: id",
      "The learning rate of 0.1 is far above the usual 1e-4",
      "The first sample prompt is cut to 512 tokens",
    ]);
  });
});

/** Contrast depends on colours and overflow on width: each is checked once. */
const LOOKS = [{ dark: false, width: 1280 }, { dark: true, width: 360 }, {
  dark: false,
  width: 800,
}];

browserTest(
  "every view: names, contrast, no sideways scroll on a phone of 360 pixels",
  async () => {
    await using server = fakeServer({ pace: 400 });
    for (const look of LOOKS) {
      await visit(server.url, { ...look, reducedMotion: true }, async ({ page }) => {
        for (const view of VIEWS) {
          await page.goto(`${server.url}/${view}`);
          await settled(page);
          const place = `${view} ${JSON.stringify(look)}`;
          assertEquals(await accessibilityFaults(page), [], place);
          assert(await sidewaysScroll(page) <= 0, `${place}: scrolls sideways`);
        }
      });
    }
  },
);

browserTest("the checks of a page find what they look for", async () => {
  await using server = fakeServer();
  await visit(`${server.url}/#/jobs/ftjob-failed`, {}, async ({ page }) => {
    await settled(page);
    await page.evaluate(`document.querySelector("main article").insertAdjacentHTML("beforeend",
      '<button class="bare"></button><h4>Deep</h4><p class="faint">faint</p><p class="wide">.</p>');
      document.querySelector(".faint").style.color = "color-mix(in srgb, gray 50%, white)";
      document.querySelector(".wide").style.width = "3000px";`);
    const faults = (await accessibilityFaults(page)).join("\n");
    assertStringIncludes(faults, "no name: <button class=bare>");
    assertStringIncludes(faults, "heading skips a level: <h4> Deep");
    assert(/contrast 1\.\d+: <p class=faint>/.test(faults), faults);
    assert(await sidewaysScroll(page) > 0);
  });
});

browserTest("first steps when there is no data yet", async () => {
  await using server = fakeServer({ empty: true });
  await visit(server.url, { width: 360 }, async ({ page }) => {
    await page.getByRole("heading", { name: "Train your first model" }).waitFor();
    await page.getByText("The models folder is empty").waitFor();
    await page.getByText(`curl ${server.url}/v1/files`).waitFor();
    assertEquals(await accessibilityFaults(page), []);
    assert(await sidewaysScroll(page) <= 0, "scrolls sideways");
    await page.goto(`${server.url}/#/files`);
    await page.getByText("No models of jobs").waitFor();
    await page.getByText("No files: uploads appear here").waitFor();
    assertEquals(await accessibilityFaults(page), []);
    await page.goto(`${server.url}/#/chat`);
    await page.getByText("No models yet").waitFor();
    await page.goto(`${server.url}/#/jobs/ftjob-nothing`);
    await page.getByRole("heading", { name: "No such job" }).waitFor();
  });
});

browserTest("everything with the keyboard alone", async () => {
  await using server = fakeServer({ pace: 200 });
  await visit(server.url, {}, async ({ page }) => {
    await page.waitForURL(/ftjob-running/);
    const focused = () =>
      page.evaluate("document.activeElement.textContent.trim()") as Promise<string>;
    await page.keyboard.press("Tab");
    assertEquals(await focused(), "Skip to content");
    for (let i = 0; i < 3; i++) await page.keyboard.press("Tab");
    assertStringIncludes(await focused(), "poems");
    // The focused element is marked.
    assert(await page.evaluate("getComputedStyle(document.activeElement).outlineWidth") === "2px");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    assertStringIncludes(await focused(), "support-tickets");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "support-tickets" }).waitFor();
    // It has the focus once the page is drawn.
    await page.waitForFunction("document.activeElement.textContent.trim() === 'support-tickets'");
    await page.getByRole("tab", { name: "Overview" }).focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    await page.getByRole("log").waitFor();
    assert(page.url().endsWith("#/jobs/ftjob-paused/log"));
    await page.keyboard.press("Home");
    // Values of a chart are read by arrow keys.
    await page.locator(".chart canvas").first().waitFor();
    await page.locator(".plot").first().focus();
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowRight");
    assertEquals(await page.locator(".chart .readout-step dd").first().textContent(), "1");
    // A dialog takes the focus and returns it.
    await page.getByRole("button", { name: "Cancel" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    assertEquals(await focused(), "Cancel");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Cancel job" }).press("Enter");
    await page.getByText("Cancelled", { exact: true }).first().waitFor();
  });
});

browserTest("a server that stops is shown, and reconnected to", async () => {
  const first = fakeServer({ pace: 200 });
  const { port, url } = first;
  await visit(`${url}/${RUNNING}`, {}, async ({ page }) => {
    await page.getByText("Live", { exact: true }).waitFor();
    await first[Symbol.asyncDispose]();
    await page.getByText("This page may be out of date").waitFor();
    await using _second = fakeServer({ pace: 200, port });
    await page.getByRole("button", { name: "Retry now" }).click();
    await page.locator("#banner").waitFor({ state: "hidden" });
    await page.getByText("Live", { exact: true }).waitFor();
  });
});

browserTest("a key is asked for once, and kept in the tab", async () => {
  await using server = fakeServer({ key: "sk-right" });
  await visit(`${server.url}/${RUNNING}`, {}, async ({ page }) => {
    await page.getByLabel("Key", { exact: true }).fill("sk-wrong");
    await page.keyboard.press("Enter");
    await page.getByText("The key is unknown or was revoked").waitFor();
    await page.getByLabel("Key", { exact: true }).fill("sk-right");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "poems" }).waitFor();
    await page.locator(".chart canvas").first().waitFor();
    assertEquals(await page.evaluate("localStorage.length"), 0);
    assertEquals(await page.evaluate("sessionStorage.getItem('api-key')"), "sk-right");
  });
});

browserTest("several workers are listed, with their cards and what they run", async () => {
  await using server = fakeServer({ workers: 3 });
  await visit(`${server.url}/${RUNNING}/details`, {}, async ({ page }) => {
    const section = page.getByRole("region", { name: "Workers" });
    await section.getByText("lab-1").waitFor();
    const items = await section.getByRole("listitem").allTextContents();
    assertEquals(items.length, 3);
    assertStringIncludes(items[0], "server-1NVIDIA GeForce RTX 4090");
    assert(items[2].endsWith("idle"), items[2]);
    const links = await section.getByRole("link").all();
    const hrefs = await Promise.all(links.map((link) => link.getAttribute("href")));
    assertEquals(hrefs, [RUNNING, RUNNING]);
    const [card, other] = ["server-1", "server-2"].map((name) =>
      `${name}, NVIDIA GeForce RTX 4090`
    );
    await page.getByText(`${card}; ${other}`).waitFor();
    assertEquals(await accessibilityFaults(page), []);
  });
  await using one = fakeServer();
  await visit(`${one.url}/${RUNNING}`, {}, async ({ page }) => {
    await page.getByRole("link", { name: "Files and models" }).waitFor();
    assertEquals(await page.getByRole("region", { name: "Workers" }).count(), 0);
  });
});
