/**
 * Programs elsewhere, with a configuration of their own, that import this folder. As a package, with
 * any compiler options: tests/interop/package.ts.
 */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join, relative } from "@std/path";
import { writeChatModel } from "./inference/support.ts";

const ROOT = new URL("..", import.meta.url);

const pathOf = (module: string, folder: string) =>
  relative(folder, fromFileUrl(new URL(module, ROOT))).replaceAll("\\", "/");

/** A good part of what each entry exports, as a program names it. */
const program = (library: string, kernels: string, server: string) => `
import {
  chat,
  DoesNotFitError,
  finetuneOptions,
  Gpu,
  LlamaForCausalLM,
  loadTokenizer,
  METHODS,
  planMemory,
  pretrainOptions,
  Trainer,
  UserError,
} from "${library}";
import { defineKernel, KernelPass, matmul, packTensor, unpackTensor } from "${kernels}";
import { openServer, serve } from "${server}";

export async function train(signal: AbortSignal): Promise<number> {
  using gpu = await Gpu.open();
  const options = pretrainOptions.parse({
    model: "llama_nano",
    data: ["text.txt"],
    output: "run",
    steps: 2,
  });
  const trainer = await Trainer.pretrain(gpu, options);
  let last = NaN;
  for await (const event of trainer.run({ signal })) {
    if (event.type === "step") last = event.loss;
  }
  const model = await LlamaForCausalLM.fromPretrained("run/model", { gpu });
  const tokenizer = await loadTokenizer("run/model");
  for await (const piece of chat(model, tokenizer, [{ role: "user", content: "Hello" }])) {
    console.log(piece);
  }
  return last;
}

const used: unknown[] = [DoesNotFitError, finetuneOptions, METHODS, planMemory, UserError];
used.push(defineKernel, KernelPass, matmul, packTensor, unpackTensor, openServer, serve);
console.log(used.filter((it) => it === undefined).length, Object.keys(METHODS).length > 5);
`;

/** A program, and what its output must be. */
interface Program {
  readonly text: string;
  readonly compare: (out: string) => void;
}

/** {@link program} elsewhere. */
const using = (...modules: Parameters<typeof program>): Program => ({
  text: program(...modules),
  compare: (out) => assertEquals(out, "0 true\n"),
});

/** Checks programs together in a folder of their own, since that takes seconds, and runs each. */
async function importers(
  config: object,
  write: (folder: string) => Record<string, Program> | Promise<Record<string, Program>>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "my stuff é " });
  const deno = async (command: string, ...args: string[]) => {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [command, "--quiet", ...args],
      cwd: folder,
      env: { NO_COLOR: "1" },
    }).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assert(success, `${command} ${args}: ${err}`);
    return out;
  };
  try {
    await Deno.writeTextFile(join(folder, "deno.json"), JSON.stringify(config));
    const programs = Object.entries(await write(folder));
    for (const [name, { text }] of programs) await Deno.writeTextFile(join(folder, name), text);
    await deno("check", ...programs.map(([name]) => name));
    for (const [name, { compare }] of programs) {
      compare(await deno("run", "-A", "--no-check", name));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const tuner = (library: string) => `
import { chat, findModel, Gpu, LlamaForCausalLM, loadTokenizer } from "${library}";
import { saveCheckpointModel, Trainer } from "${library}";

const data = ["Mercury", "Venus", "Earth", "Mars", "Jupiter"].map((planet, place) => ({
  prompt: \`Which planet is number \${place + 1}?\`,
  completion: \`It is \${planet}.\`,
}));

async function tune(gpu: Gpu, output: string) {
  const stop = new AbortController(), losses: number[] = [];
  using trainer = await Trainer.finetune(gpu, {
    model: "base",
    data,
    output,
    steps: 200,
    seqLen: 64,
    rank: 8,
  });
  for await (const event of trainer.run({ signal: stop.signal })) {
    if (event.type === "step") losses.push(event.loss);
    if (losses.length === 3) stop.abort();
    if (event.type === "done") return { losses, ...event };
  }
}

async function ask(gpu: Gpu, folder: string, content: string) {
  using model = await LlamaForCausalLM.fromPretrained(folder, { gpu });
  const tokenizer = await loadTokenizer(folder);
  let answer = "";
  const dialogue = [{ role: "user", content }];
  for await (const piece of chat(model, tokenizer, dialogue, { maxNewTokens: 8 })) answer += piece;
  return answer;
}

using gpu = await Gpu.open();
for (let run = 1; run <= 5; run++) {
  const done = await tune(gpu, \`runs/\${run}\`);
  const { model: found } = await findModel(\`runs/\${run}\`);
  const model = await saveCheckpointModel({ run: \`runs/\${run}\`, output: \`models/\${run}\` });
  const answers = [await ask(gpu, model, data[0].prompt), await ask(gpu, found, data[0].prompt)];
  console.log(JSON.stringify({ ...done, found, answers, live: gpu.account.live }));
}
`;

/** Runs that were stopped at their third step, and a chat with each. */
function compareTuned(out: string): void {
  const runs = out.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(runs.map(({ live }) => live), [0, 0, 0, 0, 0]);
  for (const [i, { losses, found, ...run }] of runs.entries()) {
    assert(run.interrupted && run.step >= 3 && run.step < 200, out);
    assertEquals([found, run.saved.checkpoint_step], [run.saved.checkpoint, run.step]);
    assertEquals(losses.length, run.step);
    // The same options train the same bits, whatever was trained before.
    assertEquals(losses.slice(0, 3), runs[0].losses.slice(0, 3), `run ${i + 1}`);
    // A checkpoint answers as the model that is saved from it.
    assertEquals(run.answers[0], run.answers[1]);
  }
}

Deno.test("programs elsewhere import this folder by path, URL and map; one of 40 lines tunes five times", () =>
  importers({ imports: { "trainer/": ROOT.href } }, async (folder) => {
    await writeChatModel(join(folder, "base"));
    const library = pathOf("mod.ts", folder), text = tuner(library);
    assert(text.split("\n").filter((line) => line.trim()).length <= 40);
    return {
      "main.ts": using(library, new URL("kernels.ts", ROOT).href, "trainer/server.ts"),
      "tuner.ts": { text, compare: compareTuned },
    };
  }));

Deno.test("a program with a browser's types links this folder as a package", () =>
  importers(
    {
      links: [fromFileUrl(ROOT)],
      compilerOptions: {
        lib: ["dom", "dom.iterable", "dom.asynciterable", "esnext", "deno.ns"],
        noImplicitOverride: true,
        verbatimModuleSyntax: true,
      },
    },
    () => ({
      "main.ts": using(
        "@deno-galore/trainer",
        "@deno-galore/trainer/kernels",
        "@deno-galore/trainer/server",
      ),
    }),
  ));
