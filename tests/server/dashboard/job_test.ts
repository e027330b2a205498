/** What the view of a job and the list of jobs say. */
import { assert, assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import { accessibilityFaults, sidewaysScroll } from "./accessibility.ts";
import { browserTest, until, visit } from "./browser.ts";
import { fakeServer } from "./fake_server.ts";

const section = (page: Page, name: string) =>
  page.getByRole("navigation").getByRole("region", { name });

browserTest("the queue in running order, the others by their sequence; long names", async () => {
  // Their times say nothing: all of the crowd are of one second, on a clock that is hours ahead.
  await using server = fakeServer({ pace: 400, crowd: 300, ahead: 10_800 });
  await visit(`${server.url}/#/jobs/ftjob-crowd1`, { width: 768 }, async ({ page }) => {
    await page.goto(`${server.url}/`);
    const active = section(page, "Active");
    await active.getByRole("link").first().waitFor();
    await active.getByRole("button", { name: "more" }).click();
    const queued = await active.getByRole("link", { name: /in the queue/ }).evaluateAll((links) =>
      links.map((link) => link.getAttribute("href")!)
    );
    // The crowd's turns run backwards; the job created after them is the next.
    const expected = Array.from({ length: 300 }, (_, i) => i).filter((i) => i % 7 === 1).reverse();
    assertEquals(queued, [
      "#/jobs/ftjob-queued",
      ...expected.map((i) => `#/jobs/ftjob-crowd${i}`),
    ]);
    await page.getByText("Next in the queue").waitFor();
    await page.getByText("Number 44 in the queue").waitFor();
    const finished = await section(page, "Finished").getByRole("link").evaluateAll((links) =>
      links.map((link) => link.getAttribute("href")!.slice("#/jobs/ftjob-".length))
    );
    assertEquals(finished.slice(0, 5), ["done", "cancelled", "failed", "crowd298", "crowd297"]);
    assertEquals(finished.length, 20);
    assert(await sidewaysScroll(page) <= 0, "scrolls sideways");
    assertEquals(await accessibilityFaults(page), []);
  });
});

browserTest("times are relative to the server's clock, whatever the browser's", async () => {
  const ahead = -10_800;
  await using server = fakeServer({ pace: 400, ahead });
  await visit(`${server.url}/#/jobs/ftjob-running`, {}, async ({ page }) => {
    await page.locator(".job-subtitle time", { hasText: /^23 min ago$/ }).waitFor();
    server.jobs.change("ftjob-queued", {
      status: "running",
      progress: { step: 5, total_steps: 50 },
      estimated_finish: Math.floor(Date.now() / 1000) + ahead + 600,
    });
    await section(page, "Active").getByText(/5 of 50 · (9 min \d+ s|10 min) left/).waitFor();
  });
});

browserTest(
  "details: each option once, files by name, long names beside their values",
  async () => {
    await using server = fakeServer({ pace: 400 });
    server.jobs.change("ftjob-queued", { training_file: "file-gone", validation_file: undefined });
    server.jobs.change("ftjob-cancelled", { training_file: null });
    await visit(`${server.url}/#/jobs/ftjob-running/details`, { width: 360 }, async ({ page }) => {
      const terms = page.locator(".facts dt");
      await page.locator(".file-list").getByText("poems.jsonl").waitFor();
      await page.getByText("file-poems", { exact: true }).waitFor();
      await page.getByText("No file: 5% of the training data is held out").waitFor();
      const names = await terms.allTextContents();
      assertEquals(names.length, new Set(names).size);
      assert(names.includes("n_epochs") && !names.includes("epochs"), names.join());
      assert(!names.includes("learning_rate_multiplier"), names.join());
      const overlaps = await page.evaluate(
        `[...document.querySelectorAll(".facts dt")].filter((dt) => {
      const range = document.createRange();
      range.selectNodeContents(dt);
      return range.getBoundingClientRect().right > dt.nextElementSibling.getBoundingClientRect().left;
    }).map((dt) => dt.textContent)`,
      );
      assertEquals(overlaps, []);
      await page.goto(`${server.url}/#/jobs/ftjob-queued/details`);
      await page.getByText("A file that has been deleted").waitFor();
      await page.goto(`${server.url}/#/jobs/ftjob-cancelled/details`);
      await page.getByText("No file", { exact: true }).waitFor();
      assert(!(await page.locator("main").textContent())!.includes("undefined"));
    });
  },
);

browserTest("norms of gradients beside the loss, where there are some; the report", async () => {
  await using server = fakeServer({ pace: 400 });
  await visit(`${server.url}/#/jobs/ftjob-running`, {}, async ({ page }) => {
    const norms = page.getByRole("figure", { name: "Gradient norm" });
    const loss = page.getByRole("figure", { name: "Loss" });
    await norms.locator("canvas").waitFor();
    const [left, right] = [(await loss.boundingBox())!, (await norms.boundingBox())!];
    assertEquals([left.y, left.height], [right.y, right.height]);
    assert(left.x + left.width < right.x && left.width > right.width, "side by side");
    assert(/^\d\.\d+$/.test(await norms.locator("dd").last().textContent() ?? ""), "the latest");
    assertEquals(await accessibilityFaults(page), []);
    await page.setViewportSize({ width: 390, height: 800 });
    await until(
      page,
      `new Set([...document.querySelectorAll(".loss-row > *")].map((each) =>
        each.getBoundingClientRect().x)).size === 1`,
    );
    assert(await sidewaysScroll(page) <= 0, "scrolls sideways");

    await page.goto(`${server.url}/#/jobs/ftjob-queued`);
    await page.getByRole("button", { name: "Pause" }).waitFor();
    assertEquals(await page.getByRole("button", { name: "Report" }).count(), 0);
    await page.goto(`${server.url}/#/jobs/ftjob-done`);
    await loss.locator("canvas").waitFor();
    assert(!await norms.isVisible());
    const [saved] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Report" }).click(),
    ]);
    assertEquals(saved.suggestedFilename(), "report-ftjob-done.html");
  });
});

browserTest("why a job is paused or failed, where it continues, and what it does", async () => {
  await using server = fakeServer({ pace: 400, steps: 40 });
  await visit(`${server.url}/#/jobs/ftjob-failed`, {}, async ({ page }) => {
    const notice = page.locator(".notice");
    await notice.getByText("Failed: The GPU driver reset while step 212 ran").waitFor();
    await notice.getByText("it continues from the checkpoint of step 200").waitFor();
    const [request] = await Promise.all([
      page.waitForRequest(/ftjob-failed\/resume$/),
      page.getByRole("button", { name: "Resume" }).click(),
    ]);
    assertEquals(request.method(), "POST");
    await notice.waitFor({ state: "hidden" });

    await page.goto(`${server.url}/#/jobs/ftjob-paused`);
    await notice.getByText("Paused: The disk is full: 0.4 GiB are free").waitFor();
    await notice.getByText("it continues from the checkpoint of step 100").waitFor();
    server.jobs.change("ftjob-queued", { status: "paused" });
    await page.goto(`${server.url}/#/jobs/ftjob-queued`);
    await notice.getByText("Paused on request.").waitFor();
    await notice.getByText("it starts from the beginning").waitFor();

    // Before the first step, and within slow ones.
    const line = page.locator(".job-progress");
    const doing = async (changes: Record<string, unknown>, text: string) => {
      server.jobs.change("ftjob-queued", changes);
      await line.getByText(text).waitFor();
    };
    const preparation = { what: "encoding examples", share: 0.4 };
    await doing({ status: "running", preparation }, "Encoding examples · 40%");
    const progress = { step: 1, total_steps: 90 };
    const activity = { phase: "training", step: 2, part: "backward", layer: 5, layers: 22 };
    await doing(
      { preparation: null, progress, activity },
      "1% · 1 of 90 · Step 2, backward pass · layer 5 of 22",
    );
    await doing(
      { activity: { phase: "evaluating", step: 2, done: 3, total: 4 } },
      "1 of 90 · Evaluating · 75%",
    );
    await until(
      page,
      `document.querySelector(".job-item[aria-current]").textContent
      .includes("Evaluating · 75%")`,
    );
  });
});
