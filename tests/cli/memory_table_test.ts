/** `memory --table`, and the charts that it draws. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { main } from "../../src/cli/main.ts";
import { METHOD_NAMES } from "../../src/train/methods.ts";
import { marksOf, parseXml, textsOf } from "../plot/support.ts";

async function memory(...words: string[]) {
  const out: string[] = [], err: string[] = [];
  const code = await main(["memory", ...words], {
    stdout: (line) => out.push(line),
    stderr: (line) => err.push(line),
    write: () => {},
    interactive: false,
    signal: new AbortController().signal,
  });
  return { code, stdout: out.join("\n"), stderr: err.join("\n") };
}

Deno.test("every method at every size of the papers, with their figures and where they are from", async () => {
  const { code, stdout } = await memory("--table");
  assertEquals(code, 0);
  for (const model of ["60m", "130m", "350m", "1b", "7b"]) {
    assertStringIncludes(stdout, `llama_${model}: `);
  }
  assertEquals(stdout.match(/^q_galore_adamw8bit /gm)?.length, 5);
  assertMatch(
    stdout,
    /^q_galore_adamw8bit +1024 +10\.4 +10\.4 +15 \[2\] +11\.3 +15\.08 \[2\] +12 GB/m,
  );
  assertMatch(stdout, /^adamw +62\.8\* .* -$/m);
  assertMatch(stdout, /^\[1\] GaLore: .*2403\.03507/m);
  assertMatch(stdout, /^\* galore_adamw, above \[1\]: /m);
});

Deno.test("titles say of how many processes each needs what is shown", async () => {
  const sizes = ["--model", "llama_9m", "--optimizer", "adamw", "--seq-len", "256"];
  const two = ["--ranks", "2", "--shard-states"];
  for (const words of [["--table", ...sizes], ["--fit", "1", ...sizes]]) {
    const one = await memory(...words), shared = await memory(...words, ...two);
    assertEquals([one.code, shared.code], [0, 0], shared.stderr);
    assertEquals(one.stdout.includes("processes"), false);
    assertMatch(shared.stdout, /^llama_9m.*, in each of 2 processes/);
  }
});

Deno.test("with --json an object a line, and with --plot charts of the same figures", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const plots = join(folder, "plots");
    const sizes = ["--table", "--model", "llama_130m", "--batch-size", "2", "--plot", plots];
    const { code, stdout } = await memory(...sizes, "--json");
    assertEquals(code, 0);
    const rows = stdout.split("\n").map((line) => JSON.parse(line));
    assertEquals(rows.map(({ optimizer }) => optimizer), METHOD_NAMES);
    const [first] = rows;
    assertEquals([first.batch_size, first.seq_len, first.rank], [2, 256, 256]);
    const [{ figure, at_most, stored_at_most }] = first.estimates;
    assertEquals([figure, at_most, stored_at_most], ["0.39", true, true]);
    const { estimates } = rows.find(({ optimizer }) => optimizer === "adamw");
    assertEquals([estimates[0].at_most, estimates[0].stored_at_most], [true, false]);
    assertEquals(first.smallest_card_gib, 8);
    const peak = Object.values<number>(first.by_purpose).reduce((sum, each) => sum + each, 0);
    assertEquals(peak, first.planned_peak_bytes);
    const chart = parseXml(await Deno.readTextFile(join(plots, "memory-llama_130m.svg")));
    const texts = textsOf(chart);
    const figures = rows.flatMap(({ estimates }) => estimates);
    for (const name of [...METHOD_NAMES, "q_galore_adamw8bit [2]"]) {
      assert(texts.some((text) => text.startsWith(name)), name);
    }
    assert(texts.includes((first.planned_peak_bytes / 2 ** 30).toFixed(2)));
    // A part at least for each method, and one for each figure.
    assert(marksOf(chart, "rect").length > rows.length + figures.length);
    for (const name of ["memory-llama_130m.png", "memory-llama_130m-dark.png"]) {
      const bytes = await Deno.readFile(join(plots, name));
      assertEquals([...bytes.subarray(1, 4)], [...new TextEncoder().encode("PNG")]);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("what does not go with a table is refused", async () => {
  for (
    const [words, message] of [
      [["--table", "--fit", "12"], "leave --fit out"],
      [["--table", "--allocate"], "leave --allocate out"],
      [["--model", "llama_9m", "--plot", "x"], "--plot: needs --table"],
      [["--table", "--model", "llama_8m"], "unknown preset"],
    ] as const
  ) {
    const { code, stderr } = await memory(...words);
    assertEquals(code, 2, words.join(" "));
    assertStringIncludes(stderr, message);
  }
});
