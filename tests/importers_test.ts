/**
 * Programs elsewhere, with a configuration of their own, that import this folder. As a package, with
 * any compiler options: tests/interop/package.ts.
 */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join, relative } from "@std/path";

const ROOT = new URL("..", import.meta.url);

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

/** Checks and runs it in a folder of its own. */
async function importer(
  config: object,
  write: (folder: string) => string,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "my stuff é " });
  try {
    await Deno.writeTextFile(join(folder, "deno.json"), JSON.stringify(config));
    await Deno.writeTextFile(join(folder, "main.ts"), write(folder));
    for (const command of [["check"], ["run", "-A", "--no-check"]]) {
      const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [...command, "--quiet", "main.ts"],
        cwd: folder,
        env: { NO_COLOR: "1" },
      }).output();
      const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      assert(success, `${command}: ${err}`);
      if (command[0] === "run") assertEquals(out, "0 true\n");
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a program elsewhere imports this folder by path, by URL and by a map of its own", () =>
  importer(
    { imports: { "trainer/": ROOT.href } },
    (folder) =>
      program(
        relative(folder, fromFileUrl(new URL("mod.ts", ROOT))).replaceAll("\\", "/"),
        new URL("kernels.ts", ROOT).href,
        "trainer/server.ts",
      ),
  ));

Deno.test("a program with a browser's types links this folder as a package", () =>
  importer(
    {
      links: [fromFileUrl(ROOT)],
      compilerOptions: {
        lib: ["dom", "dom.iterable", "dom.asynciterable", "esnext", "deno.ns"],
        noImplicitOverride: true,
        verbatimModuleSyntax: true,
      },
    },
    () =>
      program(
        "@deno-galore/trainer",
        "@deno-galore/trainer/kernels",
        "@deno-galore/trainer/server",
      ),
  ));
