/**
 * Calls of npm's clients, unmodified: each works, or is refused with the server's reason.
 *
 *     clients.mts <base URL, with /v1> <key>
 *
 * Prints a line of JSON a call.
 */
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embed, generateText, Output, streamText, tool } from "ai";
import OpenAI, { toFile } from "openai";
import { z } from "zod";

const [baseURL, apiKey] = Deno.args;
const QUESTION = [{ role: "user" as const, content: "Which planet is red?" }];
const ANSWER = { role: "assistant" as const, content: "Mars is." };
const DATA = (JSON.stringify({ messages: [...QUESTION, ANSWER] }) + "\n").repeat(12);
let failed = 0;

function calls(client: string) {
  const report = (call: string, outcome: string, reason = "") => {
    if (outcome === "BROKEN") failed++;
    console.log(JSON.stringify({ client, call, outcome, reason: reason.slice(0, 300) }));
  };
  return {
    /** Runs it; its value must satisfy the check. */
    async works<T>(call: string, run: () => Promise<T>, check: (value: T) => unknown = () => true) {
      try {
        const value = await run();
        if (check(value)) report(call, "works");
        else report(call, "BROKEN", `answered ${JSON.stringify(value)}`);
        return value;
      } catch (error) {
        report(call, "BROKEN", String(error));
        throw error;
      }
    },
    /** Must throw this class, with a message that says why. */
    async refused(
      call: string,
      run: () => Promise<unknown>,
      // deno-lint-ignore no-explicit-any
      kind: { new (...args: any[]): Error; isInstance?(error: unknown): boolean },
      reason: string,
    ) {
      try {
        report(call, "BROKEN", `was accepted: ${JSON.stringify(await run())}`);
      } catch (error) {
        const isKind = kind.isInstance?.(error) ?? error instanceof kind;
        const said = isKind && (error as Error).message.includes(reason);
        report(call, said ? "refused" : "BROKEN", String(error));
      }
    },
  };
}

async function openaiCalls() {
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
  const { works, refused } = calls(`openai (npm) ${await versionOf("openai")}`);
  const { files, models, fineTuning: { jobs }, chat: { completions: chat } } = client;
  const file = await works(
    "files.create",
    async () =>
      await files.create({ file: await toFile(new TextEncoder().encode(DATA), "planets.jsonl"), purpose: "fine-tune" }),
    ({ status }) => status === "processed",
  );
  await works("files.list, page by page", () => Array.fromAsync(files.list({ limit: 1 })), (all) => all.length > 0);
  await works("files.retrieve", () => files.retrieve(file.id));
  await works("files.content", async () => await (await files.content(file.id)).text(), (text) => text === DATA);
  await works("files.waitForProcessing", () => files.waitForProcessing(file.id));
  const supervised = {
    hyperparameters: {
      n_epochs: 1,
      batch_size: 2,
      optimizer: "adamw",
      seq_len: 64,
      packing: false,
      eval_share: 0,
      save_every: 2,
    },
  };
  const job = await works("fineTuning.jobs.create", () =>
    jobs.create({
      model: "tiny",
      training_file: file.id,
      metadata: { team: "b" },
      method: { type: "supervised", supervised },
    }));
  const ended = async (...statuses: string[]) => {
    while (true) {
      const { status, fine_tuned_model } = await jobs.retrieve(job.id);
      if ([...statuses, "failed", "cancelled", "succeeded"].includes(status)) {
        return { status, fine_tuned_model };
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };
  await works("fineTuning.jobs.retrieve, until it has ended", () => ended(), ({ status }) => status === "succeeded");
  const { fine_tuned_model } = await ended(), model = fine_tuned_model!;
  await works("fineTuning.jobs.list, by metadata", () => Array.fromAsync(jobs.list({ metadata: { team: "b" } })),
    (all) => all.length === 1);
  await works("fineTuning.jobs.listEvents, page by page", () => Array.fromAsync(jobs.listEvents(job.id, { limit: 3 })),
    (all) => all.length > 6);
  await works("fineTuning.jobs.checkpoints.list", () => Array.fromAsync(jobs.checkpoints.list(job.id)),
    ([newest]) => newest.step_number === 6);
  await refused("fineTuning.jobs.cancel, of an ended job", () => jobs.cancel(job.id), OpenAI.BadRequestError, "succeeded");
  await works("models.list", () => Array.fromAsync(models.list()), (all) => all.some(({ id }) => id === model));
  await works("models.retrieve", () => models.retrieve(model));
  const ask = { model, messages: QUESTION, max_tokens: 4 };
  await works("chat.completions.create", () => chat.create(ask), ({ usage }) => usage!.completion_tokens);
  await works("chat.completions.create, stream", async () =>
    await Array.fromAsync(await chat.create({ ...ask, stream: true, stream_options: { include_usage: true } })),
    (chunks) => chunks.at(-1)!.usage);
  await works("chat.completions.stream", () => chat.stream(ask).finalChatCompletion(), ({ choices }) => choices[0].finish_reason);
  await works("chat.completions.create, withResponse", () => chat.create(ask).withResponse(), ({ request_id }) => request_id?.startsWith("req_"));
  await works("completions.create", () => client.completions.create({ model, prompt: "Mars", max_tokens: 4 }));
  await refused("chat.completions.create, tools", () =>
    chat.create({ ...ask, tools: [{ type: "function", function: { name: "f" } }] }), OpenAI.BadRequestError, "do not call functions");
  await refused("chat.completions.create, unknown model", () => chat.create({ ...ask, model: "none" }), OpenAI.NotFoundError, "does not exist");
  await refused("with a wrong key", () => new OpenAI({ baseURL, apiKey: "sk-x", maxRetries: 0 }).models.list(), OpenAI.AuthenticationError, "Incorrect API key");
  await refused("embeddings.create", () => client.embeddings.create({ model, input: "a" }), OpenAI.NotFoundError, "Unknown request URL");
  await works("models.delete", () => models.delete(model), ({ deleted }) => deleted);
  await works("files.delete", () => files.delete(file.id), ({ deleted }) => deleted);
}

async function sdkCalls() {
  const given = { baseURL, apiKey };
  const compatible = createOpenAICompatible({ ...given, name: "trainer", includeUsage: true });
  const own = createOpenAI(given), version = await versionOf("ai");
  const chats = {
    [`ai ${version}, @ai-sdk/openai-compatible ${await versionOf("@ai-sdk/openai-compatible")}`]: {
      chat: compatible.chatModel("tiny"),
      text: compatible.completionModel("tiny"),
      embedding: compatible.embeddingModel("tiny"),
    },
    [`ai ${version}, @ai-sdk/openai ${await versionOf("@ai-sdk/openai")}`]: {
      chat: own.chat("tiny"),
      text: own.completion("tiny"),
      embedding: own.embedding("tiny"),
    },
  };
  for (const [client, { chat, text, embedding }] of Object.entries(chats)) {
    const { works, refused } = calls(client);
    const common = { prompt: "Hello", maxOutputTokens: 4, maxRetries: 0 };
    await works("generateText, chat", () => generateText({ ...common, model: chat }), ({ usage }) => usage.outputTokens);
    await works("streamText, chat", async () => {
      const { textStream, usage } = streamText({ ...common, model: chat });
      const pieces = await Array.fromAsync(textStream);
      return { pieces, usage: await usage };
    }, ({ usage }) => usage.outputTokens);
    await works("generateText, completion", () => generateText({ ...common, model: text }), ({ finishReason }) => finishReason);
    const inputSchema = z.object({ city: z.string() });
    await refused("generateText, tools", () =>
      generateText({ ...common, model: chat, tools: { weather: tool({ inputSchema }) } }), APICallError, "do not call functions");
    await refused("generateText, a structured answer", () =>
      generateText({ ...common, model: chat, output: Output.object({ schema: inputSchema }) }), APICallError, "not supported");
    await refused("embed", () => embed({ model: embedding, value: "a", maxRetries: 0 }), APICallError, "Unknown request URL");
  }
  const { refused } = calls(`ai ${version}, @ai-sdk/openai ${await versionOf("@ai-sdk/openai")}`);
  await refused("generateText, of its default model (Responses API)", () =>
    generateText({ model: own("tiny"), prompt: "Hello", maxRetries: 0 }), APICallError, "Unknown request URL");
}

async function versionOf(name: string): Promise<string> {
  return JSON.parse(await Deno.readTextFile(`node_modules/${name}/package.json`)).version;
}

await openaiCalls();
await sdkCalls();
Deno.exit(failed ? 1 : 0);
