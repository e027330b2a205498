/** Deno's permissions: a missing one is one line, and `-P` grants what commands need. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { permissionAdvice } from "../../src/cli/advice.ts";
import { missingRun } from "../../src/server/processes/probe.ts";
import { PROJECT_FILE } from "../support_project.ts";

const CLI = fromFileUrl(import.meta.resolve("../../cli.ts"));
const TEXT = fromFileUrl(import.meta.resolve("../../examples/data/tinyshakespeare.txt"));

async function deno(
  args: readonly string[],
  { cwd, env = {} }: { cwd?: string; env?: Record<string, string> } = {},
) {
  const keep = ["PATH", "HOME", "DENO_DIR", "LD_LIBRARY_PATH", "VK_ICD_FILENAMES"]
    .flatMap((name) => Deno.env.has(name) ? [[name, Deno.env.get(name)!]] : []);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--no-check", ...args],
    cwd,
    clearEnv: true,
    env: { ...Object.fromEntries(keep), NO_COLOR: "1", ...env },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out, err };
}

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const READ = "--allow-read", WRITE = "--allow-write", ENV = "--allow-env", SYS = "--allow-sys";

const MISSING: [flag: string, command: string[], granted: string[]][] = [
  [READ, ["generate", "--model", "model", "--prompt", "x"], []],
  [READ, ["finetune", "--config", "run.yaml"], []],
  [READ, ["eval", "--model", "model", "--tasks", "cola:glue"], []],
  [WRITE, ["key", "--create", "a", "--data-folder", "data"], [READ]],
  [WRITE, ["pretrain", "--model", "llama_nano", "--data", TEXT, "--output", "run"], [READ, ENV]],
  [ENV, ["eval", "--model", "hf:org/model", "--data", TEXT], [READ, WRITE, SYS]],
  [SYS, ["doctor"], [READ, ENV]],
  ["--allow-net", ["generate", "--model", "hf:org/model", "--prompt", "x"], [
    READ,
    WRITE,
    ENV,
    SYS,
  ]],
  ["--allow-run", ["serve", "--data-folder", "data"], [READ, WRITE, ENV, SYS]],
];

for (const [flag, command, granted] of MISSING) {
  Deno.test(`${command[0]} without ${flag}: one line that names it`, async () => {
    await withFolder(async (cwd) => {
      const { code, out, err } = await deno([...granted, CLI, ...command], {
        cwd,
        env: { XDG_RUNTIME_DIR: cwd },
      });
      assertMatch(err, new RegExp(`^[^\\n]*: add ${flag}="[^\\n]*\\n$`));
      assertEquals([code, out], [1, ""]);
    });
  });
}

Deno.test("every kind of permission that Deno can deny is named with its flag", async () => {
  const attempts = {
    read: 'Deno.statSync("/")',
    write: 'Deno.mkdirSync("x")',
    env: 'Deno.env.get("X")',
    sys: "Deno.uid()",
    net: 'await fetch("http://127.0.0.1:8099")',
    run: 'new Deno.Command("ls").outputSync()',
    ffi: 'Deno.dlopen("x", {})',
  };
  await withFolder(async (folder) => {
    const code = Object.values(attempts)
      .map((each) => `try { ${each} } catch (error) { console.log(error.message) }`);
    await Deno.writeTextFile(join(folder, "try.js"), code.join("\n"));
    const said = (await deno([join(folder, "try.js")])).out.trim().split("\n");
    Object.keys(attempts).forEach((kind, at) => {
      const advice = permissionAdvice(`x: ${said[at]}\n  hint: another`);
      assertMatch(advice!, new RegExp(`^x: Requires ${kind} access .*: add --allow-${kind}="`));
    });
  });
  const all = 'Requires all access to "/dev/stdin", run again with the --allow-all flag';
  assertEquals(permissionAdvice(all), 'Requires all access to "/dev/stdin": add --allow-all');
  assertEquals(permissionAdvice("another error\n  hint: a hint"), undefined);
});

Deno.test("-P is enough to train, report, generate and export, in any folder, in silence about the display", async () => {
  await withFolder(async (folder) => {
    const cwd = join(folder, "my stuff é #1 100% [x]");
    await Deno.mkdir(join(cwd, "texts {a}"), { recursive: true });
    await Deno.copyFile(TEXT, join(cwd, "texts {a}", "a b.txt"));
    const cli = async (...args: string[]) => {
      const { code, err } = await deno(["-P", CLI, ...args], { cwd });
      assertEquals(code, 0, err);
      assert(!err.includes("XDG"), err);
    };
    const run = "--model llama_nano --tokenizer bytes --steps 1 --batch-size 1 --seq-len 32";
    const output = join(cwd, "a run");
    await cli("pretrain", ...run.split(" "), "--output", output, "--data", "texts {a}/*.txt");
    assertStringIncludes(await Deno.readTextFile(join(output, "report.html")), "<svg");
    await cli("generate", "--model", "a run/model", "--prompt", "x", "--max-new-tokens", "1");
    await cli("export", "--model", "a run/model", "--output", "my model.gguf");
    const modelfile = await Deno.readTextFile(join(cwd, "Modelfile"));
    assertStringIncludes(modelfile, "FROM ./my model.gguf\n");
    await cli("doctor");
  });
});

Deno.test("-P lets a command reach the hub; no other host, program or library", async () => {
  await withFolder(async (folder) => {
    const script = join(folder, "query.js");
    await Deno.writeTextFile(
      script,
      `const state = (each) => Deno.permissions.querySync(each).state;
       const hosts = ["huggingface.co", "cdn-lfs.hf.co", "cas-bridge.xethub.hf.co", "hf.co.example"];
       console.log(...hosts.map((host) => state({ name: "net", host })));
       console.log(...["run", "ffi", "net"].map((name) => state({ name })));`,
    );
    const { out } = await deno(["--config", fromFileUrl(PROJECT_FILE), "-P", script]);
    assertEquals(out, "granted granted granted prompt\nprompt prompt prompt\n");
  });
});

Deno.test("a server whose Deno has a comma in its path says what helps", () => {
  assertMatch(missingRun("/opt/a,b/deno"), /\/opt\/a,b\/deno has a comma: move it/);
  assertMatch(
    missingRun("C:\\Program Files\\deno.exe"),
    /--allow-run="C:\\Program Files\\deno.exe"/,
  );
});
