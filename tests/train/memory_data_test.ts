/** Runs on data of a program leave the weights of runs on the same records in a file. */
import { DatabaseSync } from "node:sqlite";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import type { Data } from "../../src/data/data.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { UserError } from "../../src/options/user_error.ts";
import type { DoneEvent, TrainingEvent } from "../../src/train/events.ts";
import type { PretrainInput } from "../../src/train/options.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { c4Texts } from "../data/support.ts";
import { sharedGpu } from "../support.ts";
import { trainingTest, withWorkshop } from "./support.ts";

/** Trains to the end, or until a step is done; gives the events. */
async function train(
  open: (gpu: Gpu) => Promise<Trainer>,
  until = Infinity,
): Promise<TrainingEvent[]> {
  const controller = new AbortController(), events: TrainingEvent[] = [];
  const trainer = await open(await sharedGpu());
  for await (const event of trainer.run({ signal: controller.signal })) {
    events.push(event);
    if (event.type === "step" && event.step >= until) controller.abort();
  }
  return events;
}

const weights = (output: string) => Deno.readFile(join(output, "model", "model.safetensors"));

trainingTest(
  "pre-training on an array, an iterator, a function",
  () =>
    withWorkshop(async ({ folder }) => {
      const records = (await c4Texts()).map((text) => ({ body: text.slice(0, 120) }));
      const path = join(folder, "texts.jsonl");
      await Deno.writeTextFile(path, records.map((each) => JSON.stringify(each) + "\n").join(""));
      const options = (name: string, data: Data) =>
        ({
          model: join(folder, "config.json"),
          data,
          output: join(folder, name),
          textField: "body",
          evalShare: 0.2,
          steps: 4,
          batchSize: 3,
          seqLen: 24,
          rank: 16,
          updateProjGap: 2,
          weightGroupSize: 64,
          saveEvery: 2,
        }) satisfies PretrainInput;
      const run = async (name: string, data: Data, until?: number) =>
        await train((gpu) => Trainer.pretrain(gpu, options(name, data)), until);
      const losses = (events: TrainingEvent[]) =>
        events.flatMap((event) => event.type === "eval" ? [event.eval_loss] : []);

      const filed = await run("file", [path]), wanted = await weights(join(folder, "file"));
      assertEquals(losses(filed).length, 1);
      for (const [name, data] of [["array", records], ["iterator", records.values()]] as const) {
        assertEquals(losses(await run(name, data)), losses(filed));
        assertEquals(await weights(join(folder, name)), wanted, name);
      }
      const card = await Deno.readTextFile(join(folder, "array", "model", "README.md"));
      assert(card.includes(`${records.length} records of a program`), card);

      // Stopped, and resumed on the same records, read anew.
      await run("parts", records.values(), 2);
      const resumed = { ...options("parts", records.values()), resume: "auto" };
      await train((gpu) => Trainer.pretrain(gpu, resumed));
      assertEquals(await weights(join(folder, "parts")), wanted);
      await assertRejects(
        () =>
          train((gpu) =>
            Trainer.pretrain(gpu, { ...options("parts", records.slice(1)), resume: "auto" })
          ),
        UserError,
        "cannot resume the data stream",
      );

      const endless = function* () {
        for (let i = 0;; i++) yield records[i % records.length];
      };
      const { evalShare: _default, ...streamed } = options("endless", endless);
      const events = await train((gpu) => Trainer.pretrain(gpu, streamed));
      const warnings = events.flatMap((event) => event.type === "warning" ? [event.message] : []);
      assert(warnings.some((text) => text.includes("nothing of it is held out")), warnings.join());
      assertEquals((events.at(-1) as DoneEvent).interrupted, false);
    }),
);

trainingTest("fine-tuning on rows of a database, and a response", async () => {
  const model = fromFileUrl(import.meta.resolve("../fixtures/models/llama-gqa-tied"));
  const folder = await Deno.makeTempDir();
  using database = new DatabaseSync(":memory:");
  database.exec("CREATE TABLE chats (id INTEGER PRIMARY KEY, q TEXT, a TEXT, made BLOB)");
  const insert = database.prepare("INSERT INTO chats (q, a, made) VALUES (?, ?, x'00ff')");
  const chats = Array.from({ length: 20 }, (_, i) => [`${i} x red:`, "red ".repeat(1 + i % 4)]);
  for (const chat of chats) insert.run(...chat);
  const lines = chats.map(([instruction, output]) =>
    JSON.stringify({ instruction, output }) + "\n"
  );
  try {
    const path = join(folder, "chats.jsonl");
    await Deno.writeTextFile(path, lines.join(""));
    const run = (name: string, data: Data) =>
      train((gpu) =>
        Trainer.finetune(gpu, {
          model,
          tokenizer: "bytes",
          template: "chatml",
          data,
          evalShare: 3,
          output: join(folder, name),
          optimizer: "galore_adamw",
          rank: 16,
          batchSize: 2,
          seqLen: 128,
          steps: 2,
          warmupSteps: 0,
          lr: 3e-3,
        })
      );
    const filed = await run("file", path), wanted = await weights(join(folder, "file"));
    const rows = database.prepare("SELECT * FROM chats ORDER BY id").iterate();
    const columns = { prompt: "q", response: "a" };
    const report = (events: TrainingEvent[]) => events.find(({ type }) => type === "data");
    for (
      const [name, data] of [
        ["rows", { rows, columns }],
        ["response", new Response(lines.join(""))],
        ["messages", () =>
          chats.map(([q, a]) => ({
            messages: [{ role: "user", content: q }, { role: "assistant", content: a }],
          }))],
      ] as [string, Data][]
    ) {
      const events = await run(name, data);
      assertEquals(await weights(join(folder, name)), wanted, name);
      if (name === "response") assertEquals(report(events), report(filed));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
