/** Dialogues need a chat template, which the model has or the request names. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import type { FileContents, FileRecord } from "../../../src/server/store/records.ts";
import { writeChatModel } from "../../inference/support.ts";
import { GOOD_LINE } from "../files/support.ts";
import { type JobsApi, withJobsApi } from "./support.ts";

const DEEP = "method.supervised.hyperparameters.template";
const GGUF = fromFileUrl(import.meta.resolve("../../fixtures/gguf/"));
const NONE: FileContents = { chat: 0, completion: 0, text: 0 };

/** The API with a model without a template of its own, `base`, and a GGUF model with one. */
async function withBase(use: (api: JobsApi, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "base");
    await writeChatModel(path);
    await Deno.remove(join(path, "chat_template.jinja"));
    const models = [
      { name: "base", kind: "base", createdAt: 0, path },
      { name: "llama-gguf", kind: "base", createdAt: 0, path: join(GGUF, "llama.gguf") },
      { name: "odd-gguf", kind: "base", createdAt: 0, path: await oddGguf(folder) },
    ] as const;
    await withJobsApi({ models, filesFolder: folder }, (api) => use(api, folder));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The GGUF model of a converter that did not write how text is split. */
async function oddGguf(folder: string): Promise<string> {
  const bytes = await Deno.readFile(join(GGUF, "llama.gguf")), key = "tokenizer.ggml.pre";
  const at = new TextDecoder("latin1").decode(bytes).indexOf(key);
  bytes[at + key.length - 1] = "x".charCodeAt(0);
  const path = join(folder, "odd.gguf");
  await Deno.writeFile(path, bytes);
  return path;
}

const addFile = ({ services, file }: JobsApi, fields: Partial<FileRecord>) => {
  const id = file(), { store } = services;
  const { contents: _, ...record } = store.files.get(id)!;
  store.files.delete(id);
  store.files.insert({ ...record, ...fields });
  return id;
};

Deno.test("dialogues for a model without a template are refused, planned or created", () =>
  withBase(async (api) => {
    const chats = addFile(api, { filename: "talks.jsonl", contents: { ...NONE, chat: 12 } });
    const pairs = addFile(api, { contents: { ...NONE, completion: 2 } });
    const ask = async (path: string, fields: object, hyperparameters: object = {}) => {
      const supervised = { hyperparameters: { seq_len: 64, ...hyperparameters } };
      const method = { type: "supervised", supervised };
      return await api.post(`/v1/fine_tuning/${path}`, { model: "base", method, ...fields });
    };
    for (const path of ["plan", "jobs"]) {
      const { status, body: { error } } = await ask(path, { training_file: chats });
      assertEquals([status, error.code, error.param], [400, "missing_chat_template", DEEP]);
      assertEquals(
        error.message,
        `${DEEP}: talks.jsonl (${chats}) has 12 dialogues, which a chat template writes as text; ` +
          "base: the tokenizer has no chat template, which conversations need. Choose the template " +
          `that the model was or will be trained with: ${error.choices.join(", ")}`,
      );
      assertEquals(error.choices.includes("chatml") && !error.choices.includes("default"), true);
    }
    assertEquals(api.services.store.jobs.list({ kind: "fine_tuning", limit: 9 }).data, []);

    assertEquals((await ask("jobs", { training_file: chats }, { template: "chatml" })).status, 200);
    assertEquals((await ask("jobs", { training_file: chats, model: "tiny" })).status, 200);
    assertEquals((await ask("jobs", { training_file: pairs })).status, 200);
    const validated = { training_file: pairs, validation_file: chats };
    assertEquals((await ask("jobs", validated)).body.error.code, "missing_chat_template");
    const sampled = await ask("plan", { training_file: pairs }, { sample_prompt: ["Hello?"] });
    assertEquals(sampled.body.error.code, "missing_chat_template");
    const older = await api.post("/v1/fine_tuning/plan", {
      model: "base",
      training_file: chats,
      hyperparameters: { seq_len: 64 },
    });
    assertEquals(older.body.error.param, "hyperparameters.template");
  }));

Deno.test("files that an older server has not counted are counted once", () =>
  withBase(async (api, folder) => {
    const id = addFile(api, {});
    const path = join(folder, `${id}.jsonl`);
    await Deno.writeTextFile(path, `${GOOD_LINE}\n${GOOD_LINE}\n`);
    const body = { model: "base", training_file: id, hyperparameters: { seq_len: 64 } };
    for (const _ of ["counted", "remembered"]) {
      const { error } = (await api.post("/v1/fine_tuning/plan", body)).body;
      assertStringIncludes(error.message, `data.jsonl (${id}) has 2 dialogues`);
      assertEquals(api.services.store.files.get(id)!.contents, { ...NONE, chat: 2 });
      await Deno.remove(path).catch(() => {});
    }
  }));

Deno.test("a plan says which templates the model can use, and what is odd about its files", () =>
  withBase(async ({ post }) => {
    const plan = async (model: string) =>
      (await post("/v1/fine_tuning/plan", { model, hyperparameters: { seq_len: 16 } })).body;
    const tiny = await plan("tiny"), base = await plan("base"), gguf = await plan("llama-gguf");
    assertEquals([tiny.base.positions, tiny.base.vocab_size], [256, 408]);
    assertEquals(tiny.base.templates, ["default", ...base.base.templates]);
    assertEquals(tiny.warnings, []);
    assertEquals(gguf.base.templates.includes("default"), true);
    const { warnings: [{ message }] } = await plan("odd-gguf");
    assertStringIncludes(message, "odd-gguf: tokenizer.ggml.pre is missing: text is split by");
    const random = { model: "llama_nano", hyperparameters: { seq_len: 16 } };
    assertEquals((await post("/v1/pretraining/plan", random)).body.base, null);
  }));
