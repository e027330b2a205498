/** The view that makes room on the disk: files and models are listed, downloaded and deleted. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Page } from "playwright-core";
import { accessibilityFaults } from "./accessibility.ts";
import { browserTest, until, visit } from "./browser.ts";
import { fakeServer } from "./fake_server.ts";

const focusedName = (page: Page) =>
  page.evaluate(
    "document.activeElement.ariaLabel ?? document.activeElement.textContent",
  ) as Promise<string>;

const rows = (page: Page, title: string) =>
  page.getByRole("region", { name: title, exact: true }).locator("tbody tr");

/** With the keyboard alone. */
async function remove(page: Page, name: string): Promise<void> {
  await page.getByRole("button", { name: `Delete ${name}`, exact: true }).press("Enter");
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).press("Enter");
  await page.getByRole("dialog").waitFor({ state: "detached" });
}

browserTest("files and models are deleted to make room, and are gone everywhere", async () => {
  await using server = fakeServer({ pace: 400, crowd: 30, key: "sk-right" });
  await visit(`${server.url}/#/new`, { width: 360 }, async ({ page }) => {
    await page.getByLabel("Key", { exact: true }).fill("sk-right");
    await page.keyboard.press("Enter");
    // A form that is about to use what will be deleted.
    await page.locator(".plan-figure strong").waitFor();
    await page.getByLabel("Model", { exact: true }).selectOption(
      "ft:smollm2-135m:recipes:Ab12Cd34",
    );
    await page.getByText("Validation file", { exact: true }).first().click();
    const validation = page.getByLabel("Validation file: previous uploads");
    await validation.selectOption("file-crowd1");

    await page.goto(`${server.url}/#/jobs/ftjob-paused`);
    await page.locator(".notice").getByRole("link", { name: "See files and models" }).press(
      "Enter",
    );
    await page.getByText("33 files, 2.24 GiB").waitFor();
    assertEquals(await focusedName(page), "Files and models");
    assertEquals(await rows(page, "Files").count(), 20);
    await page.getByRole("button", { name: "13 more" }).press("Enter");
    assertEquals(await rows(page, "Files").count(), 33);
    assertEquals(await focusedName(page), "Download run-20.jsonl");
    assertEquals(
      await rows(page, "Files").nth(31).locator("td").allTextContents(),
      ["Data for pre-training", "2.24 GiB", "28 May", "DownloadDelete"],
    );

    // Asked for, and thought better of.
    await page.getByRole("button", { name: "Delete poems.jsonl" }).press("Enter");
    await page.getByText("a failed one that needs the file can no longer be resumed").waitFor();
    await page.keyboard.press("Escape");
    assertEquals(await focusedName(page), "Delete poems.jsonl");
    // Refused.
    await remove(page, "poems.jsonl");
    const refused = rows(page, "Files").filter({ hasText: "poems.jsonl" });
    await refused.getByRole("alert").getByText(/in use by .*ftjob-running: cancel it or wait/)
      .waitFor();
    assertEquals(await focusedName(page), "Delete poems.jsonl");
    // Deleted.
    await remove(page, "run-1.jsonl");
    await page.getByText("32 files, 2.24 GiB").waitFor();
    assertEquals(await focusedName(page), "Delete run-2.jsonl");
    assert(await refused.getByRole("alert").isVisible(), "a refusal stays");
    await page.getByRole("button", { name: "Delete recipes" }).press("Enter");
    assertStringIncludes(
      (await page.getByRole("dialog").textContent())!,
      "The weights of ft:smollm2-135m:recipes:Ab12Cd34 are deleted for good",
    );
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).press("Enter");
    await page.getByText("13 models").waitFor();
    assertEquals(await accessibilityFaults(page), []);

    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Download step_metrics_ftjob-done.csv" }).press("Enter"),
    ]);
    assertEquals(download.suggestedFilename(), "step_metrics_ftjob-done.csv");
    const saved = await new Response(
      ReadableStream.from((await download.createReadStream()) as AsyncIterable<Uint8Array>),
    ).text();
    assertEquals(saved, "the bytes of step_metrics_ftjob-done.csv");

    await page.goto(`${server.url}/#/jobs/ftjob-done`);
    await page.getByRole("heading", { name: "recipes" }).waitFor();
    assertEquals(await page.locator(".job-actions").getByRole("link", { name: "Chat" }).count(), 0);
    await page.goto(`${server.url}/#/new`);
    await page.getByText("recipes:Ab12Cd34 is not there any more: choose another").waitFor();
    await page.getByText("This file has been deleted: choose another").waitFor();
    assertEquals(await page.getByLabel("Model", { exact: true }).inputValue(), "");
    assertEquals(await validation.locator("option[value=file-crowd1]").count(), 0);
  });
});

browserTest("what is deleted elsewhere, and the last of a table", async () => {
  await using server = fakeServer({ pace: 400 });
  await visit(`${server.url}/#/files`, { dark: true }, async ({ page }) => {
    await page.getByText("3 files, 2.24 GiB").waitFor();
    await (await fetch(`${server.url}/v1/files/file-book`, { method: "DELETE" })).text();
    await remove(page, "the-whole-book.txt");
    await page.getByText("2 files, 480 KiB").waitFor();
    await remove(page, "recipes");
    await until(page, "document.activeElement.textContent.startsWith('No models of jobs: ')");
    await page.locator(".sidebar").getByRole("link", { name: "Files and models" }).waitFor();
  });
});
