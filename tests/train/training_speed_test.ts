import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { secondsFor, type TrainingSpeed } from "../../src/train/training_speed.ts";
import { main } from "../../src/cli/main.ts";

async function bench(args: readonly string[], signal = new AbortController().signal) {
  const out: string[] = [], err: string[] = [];
  const code = await main(["bench", ...args], {
    stdout: (line) => out.push(line),
    stderr: (line) => err.push(line),
    write: (piece) => out.push(piece),
    interactive: false,
    signal,
  });
  return { code, stdout: out.join("\n"), stderr: err.join("\n") };
}

const SMALL = ["--quick", "--batch-size", "2", "--seq-len", "32"];

Deno.test("the time of a run: its first step, the others, a refresh per interval", () => {
  const speed: TrainingSpeed = {
    name: "training",
    parameters: 1e6,
    tokens_per_step: 100,
    tokens_per_second: 1000,
    step_ms: 100,
    refresh_ms: 1000,
    refresh_interval: 10,
    first_step_ms: 5000,
    planned_peak_bytes: 0,
    gpu_peak_bytes: 0,
  };
  // 25 steps of which the first is alone, and steps 11 and 21 refresh.
  assertEquals(secondsFor(2401, speed), 5 + 24 * 0.1 + 2 * 1);
  assertEquals(secondsFor(1, speed), 5);
  assertEquals(secondsFor(2401, { ...speed, refresh_interval: undefined }), 5 + 24 * 0.1);
});

Deno.test({
  name: "bench --model: real steps, in the memory that memory plans for the same options",
  sanitizeResources: false,
  fn: async () => {
    const options = ["--model", "llama_nano", "--batch-size", "2", "--seq-len", "32"];
    const { code, stdout } = await bench([...options, "--quick", "--json", "--tokens", "6400"]);
    assertEquals(code, 0);
    const speed = JSON.parse(stdout) as TrainingSpeed & { tokens: number; seconds: number };
    assertEquals(speed.parameters, 869_760);
    assertEquals(speed.tokens_per_step, 64);
    assertEquals((speed as unknown as Record<string, unknown>).deno, Deno.version.deno);
    assert(speed.step_ms > 0 && speed.first_step_ms > 0);
    assertEquals(speed.tokens, 6400);
    assertEquals(speed.seconds, secondsFor(6400, speed));
    assertEquals(speed.gpu_peak_bytes, speed.planned_peak_bytes);
    const out: string[] = [];
    await main(["memory", "--json", ...options], {
      stdout: (line) => out.push(line),
      stderr: () => {},
      write: () => {},
      interactive: false,
      signal: new AbortController().signal,
    });
    assertEquals(speed.planned_peak_bytes, JSON.parse(out[0]).planned_peak_bytes);
  },
});

for (const optimizer of ["qlora", "adamw", "muon8bit"]) {
  Deno.test({
    name: `bench --model with ${optimizer}, from a file of options`,
    sanitizeResources: false,
    fn: async () => {
      const file = await Deno.makeTempFile({ suffix: ".yaml" });
      await Deno.writeTextFile(file, `model: llama_nano\noptimizer: ${optimizer}\ndata: x.jsonl\n`);
      const { code, stdout, stderr } = await bench(["--config", file, ...SMALL]);
      await Deno.remove(file);
      assertEquals(code, 0, stderr);
      const tokens = optimizer === "qlora" ? "1.00 million tokens" : "17.4 million tokens (20 a";
      assertStringIncludes(stdout, `llama_nano: 869,760 parameters, ${optimizer}, 2 x 32 tokens`);
      assertStringIncludes(stdout, tokens);
      assertStringIncludes(stdout, "of GPU memory, as planned");
      assert(!stdout.includes("refresh"), stdout);
    },
  });
}

Deno.test({
  name: "bench --model ends within a step that is stopped, without figures",
  sanitizeResources: false,
  fn: async () => {
    const { code, stdout } = await bench(["--model", "llama_nano", ...SMALL], AbortSignal.abort());
    assertEquals([code, stdout], [130, ""]);
  },
});

for (
  const [args, expected] of [
    [["--rank", "8"], "--rank: needs --model"],
    [["--tokens", "1e6"], "--tokens: needs --model"],
    [["--model", "llama_nano", "--filter", "adam"], "--filter: selects kernels"],
    [["--model", "llama_nan"], "unknown preset llama_nan"],
    [["--model", "llama_nano", "--optimizer", "adamw", "--rank", "8"], "--rank: needs the opt"],
  ] as const
) {
  Deno.test(`bench ${args.join(" ")} is refused`, async () => {
    const { code, stderr } = await bench(args);
    assertEquals(code, 2);
    assertStringIncludes(stderr, expected);
  });
}
