/** Of the processes that a launcher starts, one speaks. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import type { Terminal } from "../../src/cli/main.ts";
import { rankTerminal } from "../../src/cli/rank_terminal.ts";
import { mpirun, mpiTest } from "./support.ts";

const CLI = [
  Deno.execPath(),
  ...["run", "-A", "--no-check", fromFileUrl(import.meta.resolve("../../cli.ts"))],
];

Deno.test("another rank than the first prints its own failure, with its number", async () => {
  const lines: string[] = [], printed = (line: string) => lines.push(line);
  const controller = new AbortController();
  const own: Terminal = {
    stdout: printed,
    write: printed,
    stderr: printed,
    status: () => printed("status"),
    interactive: true,
    signal: controller.signal,
  };
  const { terminal, end } = rankTerminal(2, own, 10);
  terminal.stdout("an event");
  terminal.stderr("a note");
  terminal.stderr("the card is gone\n  hint: where is it?");
  await end(0);
  await end(130);
  assertEquals([lines, terminal.status, terminal.interactive], [[], undefined, false]);
  await end(1);
  controller.abort();
  await end(1);
  assertEquals(lines, ["rank 2: the card is gone\nrank 2:   hint: where is it?"]);
});

mpiTest("what is wrong for all ranks is said once", async () => {
  const wrong = ["--model", "no_such_model", "--data", "x", "--output", "x"];
  const { code, stderr } = await mpirun(2, [...CLI, "pretrain", ...wrong]);
  assertEquals(code, 2);
  assertEquals(stderr.split("unknown preset no_such_model").length - 1, 1, stderr);
});

mpiTest(
  "what processes do not share is done by each, as in a shell that a launcher started",
  async () => {
    const { code, stdout } = await mpirun(2, [...CLI, "memory", "--model", "llama_nano", "--json"]);
    assertEquals(code, 0);
    assertEquals(stdout.split('"planned_peak_bytes"').length - 1, 2, stdout);
  },
);

Deno.test("compare says that it is for one process", async () => {
  const [program, ...args] = CLI;
  const methods = ["--methods", "adamw,lora", "--model", "llama_nano", "--steps", "1"];
  const { code, stderr } = await new Deno.Command(program, {
    args: [...args, "compare", ...methods, "--data", "x", "--output", "x"],
    env: { PMI_SIZE: "2", PMI_RANK: "1", NO_COLOR: "1" },
  }).output();
  assertEquals(code, 1);
  assertStringIncludes(new TextDecoder().decode(stderr), "env -u PMI_SIZE …");
});
