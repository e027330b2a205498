/** A model without a chat template continues a text. */
import { assert, assertEquals } from "@std/assert";
import { accessibilityFaults, sidewaysScroll } from "./accessibility.ts";
import { browserTest, visit } from "./browser.ts";
import { fakeServer } from "./fake_server.ts";

browserTest("a model that cannot chat continues a text: streamed, stopped, undone", async () => {
  await using server = fakeServer({ pace: 300 });
  await visit(`${server.url}/#/chat/tiny-base`, { width: 360 }, async ({ page }) => {
    // The chat is refused; what was typed begins the text.
    await page.getByLabel("Message").fill("Once upon a time");
    const [refused] = await Promise.all([
      page.waitForRequest(/chat\/completions$/),
      page.keyboard.press("Enter"),
    ]);
    // Unless entered, no number of tokens, which might not fit beside the conversation.
    assert(!("max_tokens" in refused.postDataJSON()));
    await page.getByText("This model has no chat template").waitFor();
    const text = page.getByLabel("Text to continue");
    assertEquals(await text.inputValue(), "Once upon a time");
    assert(await page.getByRole("button", { name: "Chat", exact: true }).isDisabled());
    await page.getByText("Settings").click();
    await page.getByLabel("Temperature").fill("0.2");
    await page.getByLabel("Maximum tokens").fill("6");
    const [request] = await Promise.all([
      page.waitForRequest(/\/v1\/completions$/),
      page.getByRole("button", { name: "Continue the text" }).click(),
    ]);
    const { model, prompt, temperature, max_tokens, stream } = request.postDataJSON();
    assertEquals([model, prompt], ["tiny-base", "Once upon a time"]);
    assertEquals([temperature, max_tokens, stream], [0.2, 6, true]);
    await page.getByText("6 tokens").waitFor();
    assertEquals(await text.inputValue(), "Once upon a time, a loss went for a");
    await page.getByRole("button", { name: "Remove what it wrote" }).click();
    assertEquals(await text.inputValue(), "Once upon a time");
    await page.getByLabel("Maximum tokens").fill("256");
    await text.press("Control+Enter");
    await page.waitForTimeout(500);
    await page.keyboard.press("Enter"); // the focus is on "Stop"
    await page.getByText("stopped").waitFor();
    const stopped = await text.inputValue();
    assert(/^Once upon a time, a loss/.test(stopped) && !/the end/.test(stopped), stopped);
    assertEquals(await accessibilityFaults(page), []);
    assert(await sidewaysScroll(page) <= 0, "scrolls sideways");

    // Text and settings stay; a model that chats has both modes.
    await page.getByLabel("Model", { exact: true }).selectOption("smollm2-135m");
    await page.getByLabel("Message").waitFor();
    await page.getByRole("button", { name: "Continue text" }).click();
    assertEquals(await page.getByLabel("Text to continue").inputValue(), "");
    await page.getByText("Settings").click();
    assertEquals(await page.getByLabel("Temperature").inputValue(), "0.2");
    await page.getByLabel("Model", { exact: true }).selectOption("tiny-base");
    await page.getByText("This model has no chat template").waitFor();
    assertEquals(await page.getByLabel("Text to continue").inputValue(), stopped);
  });
});

browserTest("what was typed for a chat stays when the server stops", async () => {
  const server = fakeServer({ pace: 300 });
  await visit(`${server.url}/#/chat/smollm2-135m`, {}, async ({ page }) => {
    await page.getByText("Chat with smollm2-135m").waitFor();
    await server[Symbol.asyncDispose]();
    await page.getByLabel("Message").fill("a long question");
    await page.keyboard.press("Enter");
    await page.getByText("The server cannot be reached").waitFor();
    assertEquals(await page.getByLabel("Message").inputValue(), "a long question");
  });
});
