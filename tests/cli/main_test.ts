import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { z } from "zod";
import { DeviceLostError, NoAdapterError } from "../../src/gpu/errors.ts";
import { option, phrase } from "../../src/options/phrase.ts";
import { UserError } from "../../src/options/user_error.ts";
import type { Command, Io } from "../../src/cli/command.ts";
import { COMMANDS, main } from "../../src/cli/main.ts";
import { defineOptions } from "../../src/options/schema.ts";
import { project } from "../support_project.ts";

/** A command that records its options and then calls `act`. */
function probe(act: (options: Record<string, unknown>, io: Io) => Promise<number> | number) {
  const seen: Record<string, unknown>[] = [];
  const command: Command = {
    name: "probe",
    summary: "a probe",
    examples: ["probe --steps 1"],
    options: defineOptions({
      fields: {
        steps: z.number().int().default(7).describe("how many"),
        learningRate: z.number().optional(),
        files: z.array(z.string()).optional(),
        prompt: z.string().optional(),
        shuffle: z.boolean().default(true),
        colour: z.enum(["red", "green"]).default("red"),
      },
    }),
    run: async (options, io) => {
      seen.push(options);
      return await act(options, io);
    },
  };
  return { command, seen };
}

async function run(
  args: readonly string[],
  commands: readonly Command[] = COMMANDS,
  signal = new AbortController().signal,
  columns?: number,
) {
  const out: string[] = [], err: string[] = [];
  const code = await main(args, {
    stdout: (line) => out.push(line),
    write: (text) => out.push(text),
    stderr: (line) => err.push(line),
    interactive: false,
    columns,
    signal,
  }, commands);
  return { code, out: out.join("\n"), err: err.join("\n") };
}

const DEFAULTS = { steps: 7, shuffle: true, colour: "red" };

for (
  const [line, expected] of [
    [[], {}],
    [["--steps", "3", "--learning-rate", "1e-3"], { steps: 3, learningRate: 0.001 }],
    [["--steps=3", "--learning-rate=-2"], { steps: 3, learningRate: -2 }],
    [["--learning-rate", "-2"], { learningRate: -2 }],
    [["--files", "a", "b", "--files", "c", "--steps", "1"], { steps: 1, files: ["a", "b", "c"] }],
    [["--no-shuffle"], { shuffle: false }],
    [["--shuffle=false"], { shuffle: false }],
    [["--shuffle", "--shuffle"], { shuffle: true }],
    [["--no-shuffle=false"], { shuffle: true }],
    [["--files", "a", "--", "-b", "--steps"], { files: ["a", "-b", "--steps"] }],
    [["--prompt", ""], { prompt: "" }],
    [["--prompt", "- a\nb"], { prompt: "- a\nb" }],
    [["--prompt", "42"], { prompt: "42" }],
    [["--prompt=--steps"], { prompt: "--steps" }],
    [["--colour", "green", "--json", "--verbose"], { colour: "green" }],
  ] as const
) {
  Deno.test(`flags: ${JSON.stringify(line)}`, async () => {
    const { command, seen } = probe(() => 0);
    const { code, err } = await run(["probe", ...line], [command]);
    assertEquals([code, err], [0, ""]);
    assertEquals(seen, [{ ...DEFAULTS, ...expected }]);
  });
}

for (
  const [line, message] of [
    [["--stesp", "3"], "--stesp: unknown flag (did you mean --steps?)"],
    [["--zzzzzz"], "--zzzzzz: unknown flag"],
    [["--no-steps"], "--no-steps: unknown flag (did you mean --steps?)"],
    [["stray"], "unexpected argument stray"],
    [["--steps"], "--steps: needs a value: --steps <n>"],
    [["--prompt", "--steps", "3"], "--prompt: needs a value: --prompt <text>"],
    [["--steps", ""], "--steps: must be a number, got "],
    [["--steps", "1.5"], "--steps: must be a whole number, got 1.5"],
    [["--steps", "Infinity"], "--steps: must be a number, got Infinity"],
    [["--steps", "3", "--steps", "4"], "--steps: is given twice: keep only one"],
    [["--steps=3", "--steps=3"], "--steps: is given twice: keep only one"],
    [
      ["--no-shuffle", "--shuffle"],
      "--shuffle: is given twice, as --no-shuffle and --shuffle: keep only one",
    ],
    [["--shuffle=maybe"], "--shuffle: takes no value, got maybe"],
    [
      ["--colour", "gren"],
      "--colour: must be one of red, green, got gren (did you mean green?)",
    ],
  ] as const
) {
  Deno.test(`bad usage: ${JSON.stringify(line)}`, async () => {
    const { command, seen } = probe(() => 0);
    const { code, out, err } = await run(["probe", ...line], [command]);
    assertEquals(code, 2);
    assertEquals(err.split("\n")[0], message);
    assertStringIncludes(err, "probe --help");
    assertEquals([out, seen], ["", []]);
  });
}

Deno.test("all faults of a command line are reported at once", async () => {
  const { command } = probe(() => 0);
  const { err } = await run(["probe", "--colr", "red", "--steps", "x", "--files"], [command]);
  assertEquals(err.split("\n").slice(0, 3), [
    "--colr: unknown flag (did you mean --colour?)",
    "--files: needs a value: --files <…>",
    "--steps: must be a number, got x",
  ]);
});

Deno.test("a flag that is taken for no value counts as the flag that it is", async () => {
  const { command } = probe(() => 0);
  const { err } = await run(["probe", "--prompt", "--steps", "x", "y"], [command]);
  assertEquals(err.split("\n").slice(0, 3), [
    "--prompt: needs a value: --prompt <text>",
    "unexpected argument y",
    "--steps: must be a number, got x",
  ]);
});

Deno.test("unknown commands: exit 2 and the nearest", async () => {
  const { code, err } = await run(["pretrian"]);
  assertEquals(code, 2);
  assertStringIncludes(err, "unknown command pretrian (did you mean pretrain?)");
});

Deno.test("no command: the list, on stderr, and exit 2; --help: on stdout, and exit 0", async () => {
  const bare = await run([]), help = await run(["--help"]);
  assertEquals([bare.code, bare.out], [2, ""]);
  assertEquals([help.code, help.err], [0, ""]);
  assertEquals(bare.err, help.out);
  for (const { name, summary } of COMMANDS) assertStringIncludes(help.out, `${name} `, summary);
});

Deno.test("export: a slip in the ending of a GGUF file makes no folder", async () => {
  const named = async (output: string) => {
    const { code, err } = await run(["export", "--model", "no/such/run", "--output", output]);
    return { code, refused: err.includes(`--output: must end in .gguf, got ${output}`) };
  };
  for (const output of ["m.ggfu", "m.guff", "m.GGU", "x/m.gg"]) {
    assertEquals(await named(output), { code: 2, refused: true });
  }
  // The model is missing, which is found later.
  for (const output of ["m.gguf", "m-1.5", "runs/model"]) {
    assertEquals(await named(output), { code: 1, refused: false });
  }
});

Deno.test("a command of two words is shown as two, to go on with it", async () => {
  let shown: readonly string[] = [];
  const { command } = probe((_, { args }) => {
    shown = args;
    return 0;
  });
  await run(["compare", "probe", "--steps", "1"], [{ ...command, name: "compare probe" }]);
  assertEquals(shown, ["compare", "probe", "--steps", "1"]);
});

Deno.test("help fits a terminal that is narrower than a page, and loses no word", async () => {
  const words = (text: string) => text.split(/\s+/).join(" ");
  for (const args of [["--help"], ["generate", "--help"], ["tokenizer", "train", "--help"]]) {
    const wide = await run(args), narrow = await run(args, COMMANDS, undefined, 80);
    const [text] = narrow.out.split("\nExamples");
    assertEquals(text.split("\n").filter((line) => line.length > 80), []);
    assertEquals(words(narrow.out), words(wide.out));
  }
});

Deno.test("--version: the product and the version of its configuration", async () => {
  const out = `Deno GaLore ${project.version}`;
  assertEquals(await run(["--version"]), { code: 0, out, err: "" });
});

Deno.test("every command's help fits the page and tells defaults and choices", async () => {
  for (const { name } of COMMANDS) {
    const words = name.split(" ");
    const { code, out } = await run([...words, "--help"]);
    assertEquals(code, 0);
    assertStringIncludes(out, `cli.ts ${name} `);
    assertEquals(await run(["help", ...words]), { code, out, err: "" });
    const body = out.slice(out.indexOf("\n\n"), out.indexOf("\nExamples"));
    const wide = body.split("\n").filter((line) => line.length > 100);
    assertEquals(wide, [], `${name}: lines wider than 100`);
  }
  const { out } = await run(["pretrain", "--help"]);
  assertMatch(out, /--steps <N> .*\(default: 10000\)/);
  assertMatch(out, /--scheduler <cosine\|linear\|constant>/);
  assertStringIncludes(out, "--[no-]weight-quant");
  assertStringIncludes(out, "llama_7b");
});

/** Asserts that a command takes these arguments, without running it. */
async function assertValid(line: string): Promise<void> {
  const args = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare);
  const stubs = COMMANDS.map((command) => ({ ...command, run: () => Promise.resolve(0) }));
  const { code, err } = await run(args, stubs);
  assertEquals([code, err], [0, ""], line);
}

Deno.test("every example in the help is a valid command line", async () => {
  for (const { examples } of COMMANDS) for (const example of examples) await assertValid(example);
});

Deno.test("every command line in the documents is valid", async () => {
  const root = new URL("../../", import.meta.url);
  const documents = [...Deno.readDirSync(new URL("docs/", root))].map(({ name }) => `docs/${name}`);
  let lines = 0;
  for (const document of ["README.md", ...documents.filter((path) => path.endsWith(".md"))]) {
    const text = await Deno.readTextFile(new URL(document, root));
    for (const [, block] of text.matchAll(/^```(?:sh|powershell)\n([^]*?)^```/gm)) {
      // A backslash continues a line, in PowerShell a backtick.
      for (const line of block.replaceAll(/[\\`]\n/g, " ").split("\n")) {
        const command = /^deno run -qP cli\.ts (.*?)(?: +> \S+)?(?: +#.*)?$/.exec(line)?.[1];
        if (command === undefined) continue;
        lines++;
        await assertValid(command);
      }
    }
  }
  assert(lines > 15, `only ${lines} found`);
});

Deno.test("a user's error is one message, exit 1, and the stack only with --verbose", async () => {
  const { command } = probe(() => {
    throw new UserError("disk is full", "make room");
  });
  const plain = await run(["probe"], [command]);
  assertEquals(plain, { code: 1, out: "", err: "disk is full\n  hint: make room" });
  const verbose = await run(["probe", "--verbose"], [command]);
  assertStringIncludes(verbose.err, "main_test.ts");
});

Deno.test("options in an error are flags, and commands are named here alone", async () => {
  for (
    const [error, expected] of [
      [
        new UserError(
          phrase`${option("seqLen", 512)} is too long`,
          phrase`try ${option("packing", "padded")}`,
        ),
        "--seq-len 512 is too long\n  hint: try --packing padded",
      ],
      [
        new NoAdapterError("no WebGPU adapter was found", "is its driver installed?"),
        "no WebGPU adapter was found\n  hint: `deno task setup` installs a driver (on Debian, " +
        "as root); `deno task doctor` gives details",
      ],
      [
        new DeviceLostError("GPU: the device was lost"),
        "GPU: the device was lost\n  hint: the driver was reset or the card unplugged; continue with " +
        "--resume auto",
      ],
    ] as const
  ) {
    const { command } = probe(() => {
      throw error;
    });
    assertEquals((await run(["probe"], [command])).err, expected);
    const { out } = await run(["probe", "--json"], [command]);
    assertEquals(JSON.parse(out), { type: "error", error: expected });
  }
});

Deno.test("an error of ours says where to find the stack", async () => {
  const { command } = probe(() => {
    throw new TypeError("x is not a function");
  });
  const { code, err } = await run(["probe"], [command]);
  assertEquals([code, err], [
    1,
    "TypeError: x is not a function\n  hint: --verbose prints the stack trace",
  ]);
});

Deno.test("--json: objects on stdout, text on stderr, an error ends the stream", async () => {
  const { command } = probe((_, io) => {
    io.log("for people");
    io.event({ type: "step", step: 1 });
    io.text("piece");
    io.result({ loss: 2 }, "loss 2");
    throw new UserError("broken");
  });
  const json = await run(["probe", "--json"], [command]);
  assertEquals(json.out.split("\n").map((line) => JSON.parse(line)), [
    { type: "step", step: 1 },
    { loss: 2 },
    { type: "error", error: "broken" },
  ]);
  assertEquals(json.err, "for people\nbroken");
  const text = await run(["probe"], [command]);
  assertEquals([text.out, text.err], ["piece\nloss 2", "for people\nbroken"]);
});

Deno.test("--json reports bad usage as JSON too", async () => {
  const { command } = probe(() => 0);
  const { code, out } = await run(["probe", "--json", "--steps", "x"], [command]);
  assertEquals(code, 2);
  assertEquals(JSON.parse(out), { type: "error", error: "--steps: must be a number, got x" });
});

Deno.test("an interrupted command exits with 130, however it ends", async () => {
  for (
    const end of [
      () => 0,
      () => {
        throw new DOMException("interrupted", "AbortError");
      },
    ]
  ) {
    const controller = new AbortController();
    const { command } = probe((_, io) => {
      controller.abort();
      assert(io.signal.aborted);
      return end();
    });
    assertEquals(await run(["probe"], [command], controller.signal), {
      code: 130,
      out: "",
      err: "",
    });
  }
});

Deno.test("a command that fails while it saves after an interruption has failed", async () => {
  const controller = new AbortController();
  const { command } = probe(() => {
    controller.abort();
    throw new UserError("cannot save");
  });
  const { code, err } = await run(["probe"], [command], controller.signal);
  assertEquals([code, err], [1, "cannot save"]);
});
