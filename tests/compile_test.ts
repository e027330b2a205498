/** One executable; `deno compile` itself needs a download, and tests/server/compiled_test.ts. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";

const ROOT = fromFileUrl(new URL("..", import.meta.url));

Deno.test({
  name: "an executable that extracts itself runs where there is no Deno",
  ignore: Deno.build.os === "windows",
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "one file é " });
    try {
      const program = join(folder, "nano");
      const made = await output(Deno.execPath(), [
        "run",
        "-A",
        join(ROOT, "compile.ts"),
        "--self-extracting",
        `--output=${program}`,
      ]);
      assertEquals(made.code, 0, made.stderr);
      // Its cache is empty, and no folder of PATH has a Deno.
      const env = { HOME: folder, PATH: await withoutDeno(folder), XDG_RUNTIME_DIR: "/tmp" };
      const first = await output(program, ["--help"], env);
      assertStringIncludes(first.stdout, "Usage: nano <command>", first.stderr);
      assertStringIncludes(first.stderr, "unpacking into");
      const plan = ["memory", "--model", "llama_nano", "--batch-size", "1", "--json"];
      const second = await output(program, plan, env);
      assert(JSON.parse(second.stdout).planned_peak_bytes > 0, second.stderr);
      assertEquals(second.stderr, "");
      // Charts need a library's modules and fonts.
      await Deno.writeTextFile(join(folder, "metrics.jsonl"), metricsOf([3, 2, 1]));
      const third = await output(program, ["report", folder], env);
      assertEquals(third.code, 0, third.stderr);
      assertStringIncludes(await Deno.readTextFile(join(folder, "report.html")), "<svg");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** Lines of a run's metrics.jsonl. */
function metricsOf(losses: number[]): string {
  const lines = losses.map((loss, index) =>
    JSON.stringify({ step: index + 1, loss, lr: 0.01, tokens: 32 * (index + 1), step_ms: 1 })
  );
  return lines.join("\n") + "\n";
}

/** A folder of what the script at its head calls. */
async function withoutDeno(folder: string): Promise<string> {
  const path = join(folder, "bin");
  await Deno.mkdir(path);
  for (const name of ["basename", "gzip", "mkdir", "mktemp", "mv", "rm", "tail", "tar"]) {
    const { stdout } = await output("sh", ["-c", `command -v ${name}`]);
    await Deno.symlink(stdout.trim(), join(path, name));
  }
  return path;
}

async function output(command: string, args: string[], env?: Record<string, string>) {
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args,
    ...env && { env, clearEnv: true },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, stdout: out, stderr: err };
}
