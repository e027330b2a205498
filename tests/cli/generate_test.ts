/** `generate` through the command line, with a simulated terminal. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import type { Input, InputLine } from "../../src/cli/command.ts";
import { main } from "../../src/cli/main.ts";
import { withChatModel, writeAdapter } from "../inference/support.ts";
import { trainingTest } from "../train/support.ts";

interface Run {
  readonly stdin?: string;
  /** Successive inputs: a line, or Ctrl-C or Ctrl-D. */
  readonly typed?: readonly string[];
  /** Presses Ctrl-C at the nth piece of output (from 1). */
  readonly interruptAt?: number;
}

const CTRL_C = "\x03";

async function run(args: readonly string[], { stdin = "", typed, interruptAt }: Run = {}) {
  const out: string[] = [], err: string[] = [], prompts: string[] = [];
  const interrupts: (() => void)[] = [], controller = new AbortController();
  const interrupt = () => (interrupts.at(-1) ?? (() => controller.abort()))();
  const lines = [...typed ?? []];
  let pieces = 0;
  const line = (text = "\x04"): InputLine =>
    text === CTRL_C
      ? { type: "interrupt" }
      : text === "\x04"
      ? { type: "end" }
      : { type: "line", text };
  const input: Input = {
    interactive: typed !== undefined,
    text: () => Promise.resolve(stdin),
    line: (prompt) => {
      prompts.push(prompt);
      return Promise.resolve(line(lines.shift()));
    },
  };
  const code = await main(["generate", ...args], {
    stdout: (line) => out.push(line + "\n"),
    write: (piece) => {
      out.push(piece);
      if (piece && ++pieces === interruptAt) interrupt();
    },
    stderr: (line) => err.push(line),
    interactive: false,
    signal: controller.signal,
    input,
    takeInterrupts: (handle) => {
      interrupts.push(handle);
      return () => interrupts.splice(interrupts.indexOf(handle), 1);
    },
  });
  assertEquals(interrupts, [], "interrupts are given back");
  return { code, out: out.join(""), err: err.join("\n"), asked: prompts.length };
}

const SHORT = ["--max-new-tokens", "6"];
const GREEDY = ["--temperature", "0"];
const HELLO = [{ role: "user", content: "Hello" }];

trainingTest(
  "an option of sampling beside a temperature of 0 is told",
  () =>
    withChatModel({}, async (model) => {
      const base = ["--model", model, "--max-new-tokens", "1", "--prompt", "x"];
      const greedy = ["--temperature", "0", "--top-p", "0.9", "--seed", "3"];
      const { code, err } = await run([...base, ...greedy]);
      assertEquals([code, err.split("\n")], [
        0,
        ["--top-p", "--seed"].map((flag) =>
          `warning: ${flag} has no effect: temperature 0 always takes the most likely token`
        ),
      ]);
      assertEquals((await run([...base, "--top-p", "0.9", "--temperature", "1"])).err, "");
      assertEquals((await run([...base, "--top-p", "0.9", "--seed", "3"])).err, "");
    }),
);

trainingTest(
  "a prompt is continued as it is, a chat goes through the template",
  () =>
    withChatModel({}, async (model) => {
      const base = ["--model", model, ...SHORT, ...GREEDY];
      const raw = await run([...base, "--prompt", "Hello", "--json"]);
      assertEquals(raw.code, 0, raw.err);
      const { text, token_ids } = JSON.parse(raw.out);
      assertEquals([typeof text, token_ids.length], ["string", 6]);

      const said = await run([...base, "--prompt", "Hello", "--chat", "--json"]);
      const answer = JSON.parse(said.out);
      assert(answer.text !== text);
      // The same prompt, written by hand.
      const turn = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n";
      const written = await run([...base, "--prompt", turn, "--json"]);
      assertEquals(JSON.parse(written.out).token_ids, answer.token_ids);

      const file = join(model, "messages.json"), whole = join(model, "request.json");
      await Deno.writeTextFile(file, JSON.stringify(HELLO));
      const system = { role: "system", content: "Speak plainly." };
      await Deno.writeTextFile(whole, JSON.stringify({ messages: [system, ...HELLO] }));
      const json = async (...args: string[]) =>
        JSON.parse((await run([...base, "--json", ...args])).out);
      assertEquals(await json("--messages", file), answer);
      assertEquals(
        await json("--messages", whole),
        await json("--chat", "--prompt", "Hello", "--system", "Speak plainly."),
      );
      assert((await json("--messages", file, "--template", "llama3")).text !== answer.text);

      // Piped input is the prompt, without its trailing newline.
      const piped = await run([...base, "--json"], { stdin: "Hello\n" });
      assertEquals(JSON.parse(piped.out), { text, token_ids });
      const streamed = await run([...base, "--chat"], { stdin: "Hello\r\n" });
      assertEquals([streamed.out, streamed.err], [answer.text + "\n", ""]);
      const unused = await run([...base, "--system", "x"], { stdin: "Hello" });
      assertStringIncludes(unused.err, "need --chat: stdin alone is continued literally");
    }),
);

trainingTest(
  "a text is sampled: as the model's authors say, or as we do, unless asked otherwise",
  async () => {
    const json = async (model: string, ...args: string[]) => {
      const base = ["--model", model, "--max-new-tokens", "24", "--prompt", "Hello", "--json"];
      const { code, out, err } = await run([...base, ...args]);
      assertEquals(code, 0, err);
      return JSON.parse(out).token_ids;
    };
    const asked = (options: Record<string, number>) =>
      Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
    const ours = { temperature: 0.8, "top-k": 40, "top-p": 0.95, "repetition-penalty": 1 };
    await withChatModel({}, async (model) => {
      const text = await json(model);
      assertEquals(text, await json(model, ...asked(ours)));
      assertEquals(text, await json(model, "--seed", "42"), "the same again");
      assert(text.join() !== (await json(model, "--seed", "43")).join());
      assert(text.join() !== (await json(model, ...GREEDY)).join());
    });
    const generation = { do_sample: true, temperature: 1.5, top_p: 0.9, max_new_tokens: 3 };
    await withChatModel({ files: { "generation_config.json": generation } }, async (model) => {
      const theirs = { temperature: 1.5, "top-k": 50, "top-p": 0.9 };
      assertEquals(await json(model), await json(model, ...asked(theirs)));
      const short = await run(["--model", model, "--prompt", "Hello", "--json"]);
      assertEquals(JSON.parse(short.out).token_ids.length, 3);
    });
    const greedy = { do_sample: false };
    await withChatModel({ files: { "generation_config.json": greedy } }, async (model) => {
      assertEquals(await json(model), await json(model, ...GREEDY));
    });
  },
);

trainingTest("an empty prompt begins a text", () =>
  withChatModel({}, async (model) => {
    const { code, err, out } = await run(["--model", model, ...SHORT, "--prompt", "", "--json"]);
    assertEquals([code, err], [
      0,
      "note: the prompt has no tokens: starting from <|begin_of_text|>",
    ]);
    assertEquals(JSON.parse(out).token_ids.length, 6);
  }));

trainingTest(
  "at a terminal, a model without a chat template continues what is typed",
  () =>
    withChatModel({}, async (model) => {
      await Deno.remove(join(model, "chat_template.jinja"));
      const base = ["--model", model, ...SHORT];
      const typed = ["Hello", "", "/reset", "Hello", "/exit"];
      const { code, err, out, asked } = await run([...base, ...GREEDY], { typed });
      assertEquals([code, asked], [0, 5], err);
      assertStringIncludes(err, "no chat template: it continues each text that you type");
      assertStringIncludes(err, "unknown command /reset: /exit quits");
      const { out: once } = await run([...base, ...GREEDY, "--prompt", "Hello"]);
      assertEquals(out, once + once);
      const sampled = await run([...base, "--json"], { typed: ["Hello", "Hello"] });
      const [first, second] = sampled.out.trim().split("\n");
      assert(first !== second, "the same text goes on differently");
    }),
);

trainingTest("a conversation at a terminal", () =>
  withChatModel({}, async (model) => {
    const base = ["--model", model, ...SHORT];
    const first = (await run([...base, "--chat", "--prompt", "Hello"])).out;

    const talk = await run(base, {
      typed: ["Hello", "", "And?", "/wat", "/reset", "Hello", "/exit"],
    });
    assertEquals(talk.code, 0, talk.err);
    assertEquals(talk.asked, 7);
    const said = talk.out;
    assert(said.startsWith(first) && said.endsWith(first) && said.length > 2 * first.length, said);
    assertStringIncludes(talk.err, "Ctrl-C stops an answer, Ctrl-C twice or Ctrl-D quits");
    assertStringIncludes(talk.err, "unknown command /wat: /reset starts over");
    assertStringIncludes(talk.err, "conversation reset");

    const left = await run(base, { typed: ["\x04"] });
    assertEquals([left.code, left.out, left.asked], [0, "", 1]);

    const json = await run([...base, "--json"], { typed: ["Hello", "And?"] });
    const objects = json.out.trim().split("\n").map((line) => JSON.parse(line));
    assertEquals(objects.length, 2);
    assertEquals(objects[0].text + "\n", first);
  }));

trainingTest(
  "Ctrl-C stops an answer; twice in a row it leaves",
  () =>
    withChatModel({}, async (model) => {
      const base = ["--model", model, "--max-new-tokens", "40"];
      const stopped = await run(base, { typed: ["Hello", "/exit"], interruptAt: 3 });
      assertEquals(stopped.code, 0, stopped.err);
      assertStringIncludes(stopped.err, "(stopped)");
      const whole = (await run([...base, "--chat", "--prompt", "Hello"])).out.trimEnd();
      const shown = stopped.out.trimEnd();
      assert(whole.startsWith(shown) && shown.length < whole.length, shown);

      const twice = await run(base, { typed: ["Hello", CTRL_C, "more"], interruptAt: 3 });
      assertEquals([twice.code, twice.asked], [130, 2]);
      const typed = await run(["--model", model, ...SHORT], {
        typed: [CTRL_C, "Hello", CTRL_C, CTRL_C, "more"],
      });
      assertEquals([typed.code, typed.asked], [130, 4]);
      assertStringIncludes(typed.err, "Ctrl-C again, or Ctrl-D, quits");

      // Without a terminal the first Ctrl-C ends it, and the text so far is the result.
      const once = await run([...base, "--chat", "--prompt", "Hello"], { interruptAt: 2 });
      assertEquals(once.code, 130);
      assert(whole.startsWith(once.out.trimEnd()) && once.out.length > 1, once.out);
    }),
);

trainingTest(
  "a dialogue that is too long says so, and can be begun anew",
  () =>
    withChatModel({ config: { maxPositions: 40 } }, async (model) => {
      const typed = ["Hello, who are you there?", "And what else is there?", "/reset", "Hello"];
      const { code, err, asked } = await run(["--model", model, ...SHORT], { typed });
      assertEquals([code, asked], [0, 5], err);
      assertStringIncludes(err, "leaves no room for an answer in the model's 40 positions");
      const raw = await run(["--model", model, "--prompt", "Hello"]);
      assertEquals(raw.code, 0);
      assertMatch(raw.err, /warning: the model has only 40 positions: using --max-new-tokens \d\d/);
    }),
);

trainingTest(
  "what cannot be answered is refused before anything is loaded",
  () =>
    withChatModel({}, async (model) => {
      const refused = async (files: unknown, message: string, ...args: string[]) => {
        const path = join(model, "messages.json");
        await Deno.writeTextFile(path, typeof files === "string" ? files : JSON.stringify(files));
        const { code, err, out } = await run(["--model", model, "--messages", path, ...args]);
        assertEquals([code, out], [1, ""]);
        assertStringIncludes(err, message);
      };
      await refused("[{", "messages.json: is not valid JSON");
      await refused(7, 'must be a list of messages, or an object that has one as "messages"');
      await refused([], "messages.json: has no message");
      await refused({ messages: [{ role: "king", content: "" }] }, 'is "king", no known role');
      await refused([{ role: "user" }], "messages[0].content must be a string");
      await refused([...HELLO, { role: "assistant", content: "" }], "nothing to answer");
      await refused(
        [{ role: "system", content: "" }, ...HELLO],
        "already has a system message",
        "--system",
        "x",
      );
      await refused(HELLO, 'template "chatlm" is not known', "--template", "chatlm");
      const absent = await run(["--model", model, "--messages", "/nowhere.json"]);
      assertStringIncludes(absent.err, "/nowhere.json: cannot be read");
      const around = await run(["--model", "tests/cli", "--prompt", "x"]);
      assertStringIncludes(around.err, "tests/cli: holds no model");
      const silent = await run(["--model", model]);
      assertStringIncludes(silent.err, "no prompt: stdin is empty");
    }),
);

trainingTest(
  "a model without a template is told of --template, and can be given one",
  () =>
    withChatModel({}, async (model) => {
      await Deno.remove(join(model, "chat_template.jinja"));
      for (const input of [{ typed: ["Hello"] }, { stdin: "Hello" }]) {
        const { code, err } = await run(["--model", model, "--chat", ...SHORT], input);
        assertEquals(code, 1);
        assertStringIncludes(
          err,
          "--template chooses the one its model was or will be trained with: alpaca, chatml",
        );
      }
      const given = ["--model", model, ...SHORT, "--template", "chatml"];
      assertEquals((await run(given, { typed: ["Hello"] })).code, 0);
      await Deno.writeTextFile(join(model, "chat_template.jinja"), "\n{{ raise_exception('no') }}");
      const { code, err } = await run(["--model", model, "--chat"], { stdin: "Hello" });
      assertEquals(code, 1);
      assertStringIncludes(err, "the tokenizer's chat template, line 2: no");
    }),
);

trainingTest(
  "an adapter speaks by the tokenizer and the template it was saved with",
  () =>
    withChatModel({}, async (model) => {
      const adapter = join(model, "adapter");
      await writeAdapter(adapter);
      const base = ["--model", model, ...SHORT, "--chat", "--prompt", "Hello"];
      const plain = await run(base);
      assertEquals((await run([...base, "--adapter", adapter])).out, plain.out);
      const config = "tokenizer_config.json";
      await Deno.copyFile(join(model, "tokenizer.json"), join(adapter, "tokenizer.json"));
      await Deno.copyFile(join(model, config), join(adapter, config));
      await Deno.writeTextFile(join(adapter, "chat_template.jinja"), "{{ messages[0].content }}");
      const own = await run([...base, "--adapter", adapter]);
      assertEquals(own.code, 0, own.err);
      assert(own.out !== plain.out);
      const raw = await run(["--model", model, ...SHORT, ...GREEDY, "--prompt", "Hello"]);
      assertEquals(own.out, raw.out);
    }),
);

for (
  const [args, message] of [
    [["--prompt", "a", "--messages", "b"], "--prompt: cannot be combined with --messages"],
    [["--prompt", "a", "--system", "b"], "--system: needs --chat"],
    [["--prompt", "a", "--template", "chatml"], "--template: needs --chat"],
    [
      ["--prompt", "a", "--repetition-penalty", "0"],
      "--repetition-penalty: must be greater than 0",
    ],
    [["--prompt", "a", "--weights", "int4"], "--weights: must be one of int8, nf4, bfloat16"],
  ] as const
) {
  Deno.test(`generate, bad usage: ${args.slice(2).join(" ")}`, async () => {
    const { code, err } = await run(["--model", "x", ...args]);
    assertEquals(code, 2);
    assertStringIncludes(err, message);
  });
}
