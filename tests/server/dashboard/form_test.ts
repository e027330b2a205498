/** The form of a job: what goes wrong is said and stays, and nothing that was entered is lost. */
import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import { accessibilityFaults } from "./accessibility.ts";
import { browserTest, visit } from "./browser.ts";
import { fakeServer } from "./fake_server.ts";

const GOOD = '{"text": "one"}\n{"text": "two"}\n';
const BAD = '{"text": "one"}\n{"text": \n';

const upload = (page: Page, name: string, text: string) =>
  page.locator("input[type=file]").first().setInputFiles({
    name,
    mimeType: "application/jsonl",
    buffer: Buffer.from(text),
  });

browserTest("the message about a bad upload stays until somebody dismisses it", async () => {
  await using server = fakeServer({ pace: 400 });
  await visit(`${server.url}/#/new`, {}, async ({ page }) => {
    await page.locator(".plan-figure strong").waitFor();
    await upload(page, "bad.jsonl", BAD);
    const message = page.getByText("bad.jsonl: line 2: is no JSON");
    await message.waitFor();
    assertEquals(await accessibilityFaults(page), []);
    // A plan, another upload, and another view.
    await Promise.all([
      page.waitForResponse(/plan/),
      page.getByLabel("Batch size", { exact: true }).fill("8"),
    ]);
    await upload(page, "good.jsonl", GOOD);
    await page.locator("select option", { hasText: "good.jsonl" }).first().waitFor({
      state: "attached",
    });
    await upload(page, "too-much.jsonl", GOOD);
    await page.getByText("too-much.jsonl: The data folder's disk is full: 12 MiB").waitFor();
    await page.getByRole("link", { name: /^poems/ }).first().click();
    await page.getByRole("heading", { name: "poems" }).waitFor();
    await page.goBack();
    await page.getByRole("heading", { name: "New job" }).waitFor();
    assert(await message.isVisible(), "the message has vanished");
    // The same file, mended; the other message is dismissed.
    await upload(page, "bad.jsonl", GOOD);
    await message.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Dismiss the message about too-much.jsonl" }).click();
    assertEquals(await page.locator(".upload-fault").count(), 0);
  });
});

browserTest("a file uploaded while the form still loads is there, and chosen", async () => {
  await using server = fakeServer({ pace: 400 });
  await visit(`${server.url}/#/jobs/ftjob-failed`, {}, async ({ page }) => {
    const uploaded = Promise.withResolvers<void>();
    await page.route("**/v1/models", async (route) => {
      await uploaded.promise;
      await route.continue();
    });
    await page.evaluate("location.hash = '#/new'");
    await upload(page, "early.jsonl", GOOD);
    const chosen = page.getByLabel("Training file: previous uploads").locator("option:checked");
    await chosen.getByText("early.jsonl").waitFor({ state: "attached" });
    await Promise.all([page.waitForResponse(/plan/), uploaded.resolve()]);
    assert((await chosen.textContent())!.includes("early.jsonl"), "its upload was forgotten");
    assertEquals(await page.getByText("has been deleted").count(), 0);
  });
});

browserTest(
  "a job without a file, a full disk and a stopped server are said in words",
  async () => {
    const first = fakeServer({ pace: 400 });
    const { port } = first;
    await visit(`${first.url}/#/new`, {}, async ({ page }) => {
      const start = page.getByRole("button", { name: "Start job" });
      await page.locator(".plan-figure strong").waitFor();
      await start.click();
      await page.getByText("A training file is required: choose one, or upload it.").waitFor();
      await upload(page, "good.jsonl", GOOD);
      await page.getByText("is required").waitFor({ state: "hidden" });
      await page.getByLabel("Name").fill("too-much");
      await page.getByLabel("Batch size", { exact: true }).fill("3");
      await start.click();
      await page.getByRole("alert").getByText("The data folder's disk is full: 12 MiB").waitFor();
      await first[Symbol.asyncDispose]();
      await page.getByLabel("Name").fill("kept");
      await start.click();
      await page.getByRole("alert").getByText("The server cannot be reached").waitFor();
      await page.getByRole("link", { name: "recipes" }).first().click();
      await page.goBack();
      assertEquals(await page.getByLabel("Name").inputValue(), "kept");
      await using _second = fakeServer({ pace: 400, port });
      await page.getByText("Live", { exact: true }).waitFor();
      assertEquals(await page.getByLabel("Batch size", { exact: true }).inputValue(), "3");
      await page.getByLabel("Training file: previous uploads").selectOption("file-poems");
      await start.click();
      await page.getByRole("heading", { name: "kept" }).waitFor();
      // The next form is empty again.
      await page.getByRole("link", { name: "New job" }).click();
      await page.locator(".plan-figure strong").waitFor();
      assertEquals(await page.getByLabel("Name").inputValue(), "");
    });
  },
);

browserTest("conversations for a model without a chat template: the form offers one", async () => {
  await using server = fakeServer({ pace: 400 });
  await visit(`${server.url}/#/new`, {}, async ({ page }) => {
    await page.locator(".plan-figure strong").waitFor();
    await page.getByLabel("Model", { exact: true }).selectOption("tiny-base");
    await page.getByText("Chat template: the model has none of its own").waitFor();
    const plan = page.waitForRequest((request) =>
      /plan/.test(request.url()) && /file-poems/.test(request.postData() ?? "")
    );
    await page.getByLabel("Training file: previous uploads").selectOption("file-poems");
    await plan;
    const field = page.getByRole("combobox", { name: "Chat template" });
    await page.getByText(/^tiny-base has no chat template, which the conversations/).waitFor();
    assertEquals(await field.locator("option").allTextContents(), [
      "None",
      "chatml",
      "llama3",
      "alpaca",
    ]);
    assertEquals(await accessibilityFaults(page), []);
    await field.selectOption("chatml");
    await page.getByText("Fits", { exact: true }).waitFor();
    await page.getByText(/^tiny-base has no chat template/).waitFor({ state: "hidden" });
    const [request] = await Promise.all([
      page.waitForRequest(/fine_tuning\/jobs$/),
      page.getByRole("button", { name: "Start job" }).click(),
    ]);
    const { method, training_file } = request.postDataJSON();
    assertEquals(method.supervised.hyperparameters.template, "chatml");
    assertEquals(training_file, "file-poems");
  });
});
