/** What a run would refuse before its first step is refused when its job is created. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { Rehearsal } from "../../../src/server/admission/rehearsal.ts";
import { DataFolder } from "../../../src/server/storage/data_folder.ts";
import { newId } from "../../../src/server/store/ids.ts";
import { GOOD_LINE } from "../files/support.ts";
import { type JobsApi, withJobsApi } from "./support.ts";

interface RealFiles extends JobsApi {
  readonly storage: DataFolder;
  /** Stores a file of this content. */
  upload(content: string, name?: string): Promise<string>;
  refusal(path: string, body: object): Promise<{ code: string; param: string; message: string }>;
}

async function withRealFiles(use: (api: RealFiles) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir(), storage = await DataFolder.open(folder);
  try {
    await withJobsApi({ dataFolder: storage }, async (api) => {
      const { store } = api.services;
      await use({
        ...api,
        storage,
        async upload(content, filename = "data.jsonl") {
          const id = newId("file"), bytes = content.length;
          await Deno.writeTextFile(storage.filePath({ id, filename }), content);
          const purpose = filename.endsWith(".txt") ? "pretrain" : "fine-tune";
          const contents = { chat: 1, completion: 0, text: 0 };
          store.files.insert({ id, filename, purpose, bytes, lines: 1, contents, createdAt: 1 });
          return id;
        },
        async refusal(path, body) {
          const { status, body: { error } } = await api.post(`/v1/${path}/jobs`, body);
          assertEquals([status, store.jobs.withStatus("queued").length], [400, 0]);
          return error;
        },
      });
    });
  } finally {
    storage.close();
    await Deno.remove(folder, { recursive: true });
  }
}

const tune = (training_file: string, hyperparameters: object = {}) => ({
  model: "tiny",
  training_file,
  method: {
    type: "supervised",
    supervised: { hyperparameters: { seq_len: 64, ...hyperparameters } },
  },
});
const dialogue = (answer: object) =>
  JSON.stringify({ messages: [{ role: "user", content: "Hi" }, { role: "assistant", ...answer }] });

Deno.test("fine-tuning: what the run would refuse is refused, with the field at fault", () =>
  withRealFiles(async ({ upload, refusal }) => {
    const unlearned = await upload(dialogue({ content: "Hello", weight: 0 }));
    const cases: [object, string, string][] = [
      [tune(unlearned), "training_file", `the data (${unlearned}…) has no example to train on`],
      [
        tune(await upload(dialogue({ content: "x" })), { seq_len: 4 }),
        "training_file",
        "seq_len sets it higher",
      ],
      [
        tune(
          await upload(JSON.stringify({
            ...JSON.parse(GOOD_LINE),
            tools: [{ type: "function", function: { name: "f", parameters: {} } }],
          })),
        ),
        "training_file",
        "examples would not be learned as written",
      ],
      [
        tune(await upload(GOOD_LINE), { early_stopping_patience: 2, eval_every: 1 }),
        "method.supervised.hyperparameters.early_stopping_patience",
        "early_stopping_patience needs evaluations, but nothing is held out",
      ],
      [
        tune(await upload(GOOD_LINE), { sample_prompt: ["long ".repeat(100)] }),
        "method.supervised.hyperparameters.sample_prompt",
        "tokens, must be 1 to",
      ],
      [
        { ...tune(await upload(GOOD_LINE)), validation_file: unlearned },
        "validation_file",
        `(${unlearned}…) has no example to train on`,
      ],
    ];
    for (const [body, param, message] of cases) {
      const error = await refusal("fine_tuning", body);
      assertStringIncludes(error.message, message);
      assertEquals(error.param, param, error.message);
      const isFile = param.endsWith("_file");
      assertEquals(error.code, isFile ? "invalid_training_file" : "invalid_hyperparameters");
      // Of the server's folders a client knows nothing.
      assertEquals(error.message.includes("/tmp"), false, error.message);
    }
  }));

Deno.test("pre-training: too little text is refused, for a configuration of one's own too", () =>
  withRealFiles(async ({ upload, refusal, post, storage }) => {
    const config = {
      model_type: "llama",
      hidden_size: 32,
      intermediate_size: 48,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      vocab_size: 257,
      max_position_embeddings: 128,
    };
    const little = await upload("A few words.", "a.txt");
    const enough = await upload("Many words. ".repeat(100), "b.txt");
    const body = (file: string) => ({
      model: config,
      training_files: [file],
      hyperparameters: { seq_len: 64, steps: 2 },
    });
    const error = await refusal("pretraining", body(little));
    assertEquals([error.code, error.param], ["invalid_training_file", "training_files"]);
    assertEquals((await post("/v1/pretraining/jobs", body(enough))).status, 200);
    assertEquals([...Deno.readDirSync(`${storage.path}/jobs`)], []);
  }));

Deno.test("what the run will warn about is known when its job is created", () =>
  withRealFiles(async ({ upload, post, services: { store } }) => {
    const long = dialogue({ content: "word ".repeat(200) });
    const { body } = await post(
      "/v1/fine_tuning/jobs",
      tune(await upload(`${GOOD_LINE}\n${long}`)),
    );
    const messages = store.events.keyed(body.id, "warning", 10).map(({ message }) => message);
    assertEquals(messages.includes("truncated to 64 tokens: 1 of 2 examples"), true);
    assertEquals(messages.some((each) => each.includes("so nothing is evaluated")), true);
  }));

Deno.test("a job whose data takes too long to read is accepted: its run will find out", () =>
  withRealFiles(async ({ upload, post, services }) => {
    Object.assign(services, { rehearsal: new Rehearsal(services, 1) });
    const unlearned = await upload(dialogue({ content: "Hello", weight: 0 }));
    assertEquals((await post("/v1/fine_tuning/jobs", tune(unlearned))).status, 200);
  }));

Deno.test("a job whose file is deleted while it is read is refused", () =>
  withRealFiles(async ({ upload, refusal, services }) => {
    const { store } = services, id = await upload(GOOD_LINE);
    const rehearse = () => {
      store.files.delete(id);
      return Promise.resolve({ warnings: [] });
    };
    Object.assign(services, { rehearsal: { rehearse } });
    assertEquals((await refusal("fine_tuning", tune(id))).code, "file_not_found");
  }));
