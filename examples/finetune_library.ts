/**
 * Fine-tunes a model and chats with the result, without the command line or a server:
 *
 *     deno run -qP examples/finetune_library.ts hf:HuggingFaceTB/SmolLM2-135M-Instruct \
 *       examples/data/planets.jsonl runs/planets
 *
 * The model may also be a folder in Hugging Face's layout or a .gguf file.
 *
 * @module
 */
import {
  chat,
  explain,
  Gpu,
  LlamaForCausalLM,
  loadTokenizer,
  Trainer,
  type TrainingEvent,
  UserError,
} from "../mod.ts";

/** Each kind of event has its own fields, and the compiler knows which. */
function tell(event: TrainingEvent): void {
  switch (event.type) {
    case "plan": {
      const mebibytes = Math.round(event.planned_peak_bytes / 2 ** 20);
      return console.log(`${event.steps} steps, ${mebibytes} MiB on ${event.adapter}`);
    }
    case "step":
      return console.log(`step ${event.step}: loss ${event.loss.toFixed(3)}`);
    case "eval":
      return console.log(`held out, step ${event.step}: ${event.eval_loss.toFixed(3)}`);
    case "warning":
      return console.warn(event.message);
    case "done":
      return console.log(`${event.summary.tokens} tokens seen`);
  }
}

async function finetune(gpu: Gpu, model: string, data: string, output: string): Promise<void> {
  // The options of the command line's help, in camel case; all faults are reported at once.
  const trainer = await Trainer.finetune(gpu, {
    model,
    data,
    output,
    epochs: 3,
    batchSize: 2,
    seqLen: 256,
    rank: 32,
    evalShare: 0.1,
  });
  for await (const event of trainer.run()) tell(event);
}

async function ask(gpu: Gpu, folder: string, question: string): Promise<void> {
  const tokenizer = await loadTokenizer(folder);
  const model = await LlamaForCausalLM.fromPretrained(folder, { gpu });
  console.log(question);
  const messages = [{ role: "user" as const, content: question }];
  for await (const piece of chat(model, tokenizer, messages, { maxNewTokens: 64 })) {
    Deno.stdout.writeSync(new TextEncoder().encode(piece));
  }
  console.log();
}

if (import.meta.main) {
  const [model, data, output] = Deno.args;
  if (!output) {
    console.error("usage: finetune_library.ts MODEL EXAMPLES OUTPUT-FOLDER");
    Deno.exit(2);
  }
  const gpu = await Gpu.open();
  try {
    await finetune(gpu, model, data, output);
    await ask(gpu, `${output}/model`, "Which planet is closest to the Sun?");
  } catch (error) {
    // A UserError explains itself; anything else is a bug in the program.
    if (!(error instanceof UserError)) throw error;
    console.error(explain(error));
    Deno.exitCode = 1;
  } finally {
    gpu.close();
  }
}
