/** Of the processes that a launcher starts, one speaks. */
import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import type { Terminal } from "../../src/cli/main.ts";
import { rankTerminal } from "../../src/cli/rank_terminal.ts";
import { mpirun, mpiTest } from "./support.ts";

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
  const cli = fromFileUrl(import.meta.resolve("../../cli.ts"));
  const run = [
    Deno.execPath(),
    "run",
    "-A",
    "--no-check",
    cli,
    "pretrain",
    "--model",
    "no_such_model",
  ];
  const { code, stderr } = await mpirun(2, [...run, "--data", cli, "--output", "x"]);
  assertEquals(code, 2);
  assertEquals(stderr.split("unknown preset no_such_model").length - 1, 1, stderr);
});
