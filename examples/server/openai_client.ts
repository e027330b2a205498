/**
 * A job through OpenAI's own client, from a file to a conversation:
 *
 *     deno run --allow-net --allow-read --allow-env examples/server/openai_client.ts \
 *       http://127.0.0.1:8000/v1 my-model examples/data/planets.jsonl
 *
 * `my-model` is the name of a folder or a .gguf file in the server's models folder. If the
 * server has keys, set OPENAI_API_KEY to one of them.
 *
 * @module
 */
import OpenAI, { toFile } from "openai";

type JobEvent = OpenAI.FineTuning.Jobs.FineTuningJobEvent;
type Method = OpenAI.FineTuning.JobCreateParams["method"];

const QUESTION = "Which planet is closest to the Sun?";

/** Besides OpenAI's `n_epochs` and `batch_size`: every option of `finetune`, in snake case. */
const METHOD = {
  type: "supervised",
  supervised: {
    hyperparameters: {
      n_epochs: 3,
      batch_size: 2,
      optimizer: "q_galore_adamw8bit", // or lora, qlora, adamw, …
      rank: 32,
      seq_len: 256,
      save_every: 10,
      eval_share: 0.1,
      sample_prompt: [QUESTION],
    },
  },
} as unknown as Method; // the client's types know OpenAI's names only

const FINAL: readonly unknown[] = ["succeeded", "failed", "cancelled"];

/**
 * What happens to a job, each event once, to its last. A connection that breaks, or a server that
 * is started again, costs a pause: the events go on after the last that came.
 */
async function* follow(client: OpenAI, job: string): AsyncGenerator<JobEvent> {
  let last = "0";
  for (;;) {
    try {
      const events = await client.get(`/fine_tuning/jobs/${job}/events`, {
        query: { stream: true },
        headers: { "last-event-id": last },
        stream: true,
      }) as AsyncIterable<JobEvent>;
      for await (const event of events) {
        last = event.id;
        yield event;
        const { status } = event.data as { status?: string };
        if (FINAL.includes(status)) return;
      }
    } catch (error) {
      // A job that is not there, or a wrong key: asking again would not help.
      if (error instanceof OpenAI.APIError && error.status < 500) throw error;
    }
    console.log("(the connection broke: it is taken up again)");
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

if (import.meta.main) {
  const [baseURL = "http://127.0.0.1:8000/v1", model, path] = Deno.args;
  if (!path) {
    console.error("usage: openai_client.ts http://127.0.0.1:8000/v1 MODEL FILE.jsonl");
    Deno.exit(2);
  }
  const client = new OpenAI({ baseURL, apiKey: Deno.env.get("OPENAI_API_KEY") || "none" });

  // Every line is validated before the file is accepted; faults are reported with their lines.
  const name = path.split(/[/\\]/).at(-1);
  const file = await client.files.create({
    file: await toFile(await Deno.readFile(path), name),
    purpose: "fine-tune",
  });
  console.log(`uploaded ${file.filename} as ${file.id}`);

  const { id } = await client.fineTuning.jobs.create({
    model,
    training_file: file.id,
    suffix: "example",
    method: METHOD,
  });
  for await (const { message } of follow(client, id)) console.log(message);
  const job = await client.fineTuning.jobs.retrieve(id);
  if (job.status !== "succeeded") {
    console.error(`${id} ${job.status}: ${job.error?.message ?? ""}`);
    Deno.exit(1);
  }

  for await (const checkpoint of client.fineTuning.jobs.checkpoints.list(id)) {
    const { step_number, metrics, fine_tuned_model_checkpoint } = checkpoint;
    console.log(`step ${step_number}: ${fine_tuned_model_checkpoint}`, metrics);
  }

  console.log(`${QUESTION}`);
  const answer = await client.chat.completions.create({
    model: job.fine_tuned_model!,
    messages: [{ role: "user", content: QUESTION }],
    max_tokens: 64,
    stream: true,
  });
  for await (const { choices: [choice] } of answer) {
    Deno.stdout.writeSync(new TextEncoder().encode(choice?.delta.content ?? ""));
  }
  console.log();
}
