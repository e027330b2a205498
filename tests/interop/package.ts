/**
 * The npm package, made and installed in a folder of its own, in the programs that may import it:
 *
 *     deno run -A tests/interop/package.ts <node 22 or newer>… <bun>…
 *
 * Deno checks it under every strict option and runs it; the others say that they need Deno, and load
 * the kernels. Needs npm.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
const folder = await Deno.makeTempDir({ prefix: "package é " });

async function run(command: string, ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd: folder,
    env: { NO_COLOR: "1" },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out, err };
}

async function done(command: string, ...args: string[]): Promise<string> {
  const { code, out, err } = await run(command, ...args);
  assert(code === 0, `${command} ${args.join(" ")}: ${out}${err}`);
  return out;
}

const write = (name: string, text: string) => Deno.writeTextFile(join(folder, name), text);

await write("package.json", '{ "type": "module" }');
await write(
  "deno.json",
  JSON.stringify({
    nodeModulesDir: "manual",
    compilerOptions: {
      exactOptionalPropertyTypes: true,
      isolatedDeclarations: true,
      noFallthroughCasesInSwitch: true,
      noImplicitReturns: true,
      noPropertyAccessFromIndexSignature: true,
      noUncheckedIndexedAccess: true,
      noUnusedLocals: true,
      noUnusedParameters: true,
    },
  }),
);
await write(
  "program.ts",
  `import { Gpu, pretrainOptions, Trainer } from "@deno-galore/trainer";
import { matmul } from "@deno-galore/trainer/kernels";
import { serve } from "@deno-galore/trainer/server";
console.log([Gpu, pretrainOptions, Trainer, matmul, serve].map((it) => typeof it).join());
`,
);
// Its types are types, not any.
await write(
  "wrong.ts",
  'import { Gpu } from "@deno-galore/trainer";\nGpu.open() satisfies number;\n',
);
await write("library.mjs", 'import { Gpu } from "@deno-galore/trainer";\nconsole.log(Gpu);\n');
await write(
  "kernels.mjs",
  `import { findAdapter, Gpu } from "@deno-galore/trainer/kernels";
console.log(await findAdapter(), await Gpu.open().catch(String));
`,
);

await done(Deno.execPath(), "run", "-A", join(ROOT, "pack.ts"), join(folder, "trainer.tgz"));
await done("npm", "install", "--no-audit", "--no-fund", "./trainer.tgz");
await done(Deno.execPath(), "check", "program.ts");
const types = "function,object,function,function,function\n";
assertEquals(await done(Deno.execPath(), "run", "-A", "program.ts"), types);
assertMatch(
  (await run(Deno.execPath(), "check", "wrong.ts")).err,
  /'Promise<Gpu>' does not satisfy/,
);
console.log("Deno: checked under strict options, and run");

for (const program of Deno.args) {
  const library = await run(program, "library.mjs");
  assertEquals([library.code, library.out], [1, ""]);
  assertMatch(library.err, /^This program needs Deno, .*\n$/);
  assertEquals(
    await done(program, "kernels.mjs"),
    "null NoAdapterError: no WebGPU adapter was found\n",
  );
  console.log(`${program}: says that it needs Deno; loads the kernels`);
}
await Deno.remove(folder, { recursive: true });
