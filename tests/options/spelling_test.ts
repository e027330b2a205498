/** The same text in the spelling of the library, the command line and the server. */
import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { z } from "zod";
import { commandHelp } from "../../src/cli/help.ts";
import { pretrain } from "../../src/cli/pretrain.ts";
import { CONSUMER_CARD } from "../../src/gpu/capabilities.ts";
import { OptionsError } from "../../src/options/faults.ts";
import {
  joinPhrases,
  option,
  type Phrase,
  phrase,
  settings,
  spell,
  type Spelling,
} from "../../src/options/phrase.ts";
import { FLAGS, PROPERTIES } from "../../src/options/spelling.ts";
import { explain, UserError } from "../../src/options/user_error.ts";
import { documentField, REQUEST } from "../../src/server/protocol/spelling.ts";
import { trainingShape } from "../../src/train/method.ts";
import { pretrainOptions } from "../../src/train/options.ts";
import { presetOf } from "../../src/train/presets.ts";
import { assertFits, DoesNotFitError } from "../../src/train/does_not_fit.ts";

const RUN = { model: "llama_60m", data: ["a.txt"], output: "out" };

for (
  const [text, property, flag, field] of [
    ["plain", "plain", "plain", "plain"],
    [phrase`needs ${option("rank")}`, "needs rank", "needs --rank", "needs rank"],
    [
      phrase`${option("seqLen", 512)} or less`,
      "seqLen: 512 or less",
      "--seq-len 512 or less",
      "seq_len: 512 or less",
    ],
    [phrase`${option("rank", "auto")}`, 'rank: "auto"', "--rank auto", 'rank: "auto"'],
    [
      phrase`${option("samplePrompt", "Once upon")}`,
      'samplePrompt: "Once upon"',
      '--sample-prompt "Once upon"',
      'sample_prompt: "Once upon"',
    ],
    [
      phrase`${option("addTokens", ["<|im_start|>", "<a>"])}`,
      'addTokens: ["<|im_start|>","<a>"]',
      '--add-tokens "<|im_start|>" "<a>"',
      'add_tokens: ["<|im_start|>","<a>"]',
    ],
    [
      phrase`${settings({ activationCheckpointing: true, packing: false, batchSize: 4 })}`,
      "activationCheckpointing: true, packing: false, batchSize: 4",
      "--activation-checkpointing --no-packing --batch-size 4",
      "activation_checkpointing: true, packing: false, batch_size: 4",
    ],
    [
      phrase`${option("loraTarget", ["q_proj", "v_proj"])}`,
      'loraTarget: ["q_proj","v_proj"]',
      "--lora-target q_proj v_proj",
      'lora_target: ["q_proj","v_proj"]',
    ],
    [
      phrase`${option("embeddingAdam8bit")}`,
      "embeddingAdam8bit",
      "--embedding-adam8bit",
      "embedding_adam8bit",
    ],
    // A file is an id in a request.
    [
      phrase`give ${option("evalData")}`,
      "give evalData",
      "give --eval-data",
      "give validation_file",
    ],
  ] as const
) {
  Deno.test(`options in a text: ${property}`, () => {
    assertEquals(inAll((spelling) => spell(text, spelling)), [property, flag, field]);
  });
}

function inAll(shown: (spelling: Spelling) => string): string[] {
  return [PROPERTIES, FLAGS, REQUEST].map(shown);
}

Deno.test("a phrase is one line, however long; values keep their lines", () => {
  const value = "two\n  lines";
  assertEquals(
    spell(phrase`a text\n      that goes on: ${value}`, PROPERTIES),
    `a text that goes on: ${value}`,
  );
  const nested: Phrase = phrase`${phrase`lower ${option("lr")}`}, or ${3} times`;
  assertEquals(spell(nested, FLAGS), "lower --lr, or 3 times");
  assertEquals(spell(joinPhrases([nested, "b"], "; "), FLAGS), "lower --lr, or 3 times; b");
  assertEquals(joinPhrases([], "; "), "");
  // A request may have a hundred thousand faults: joining them must take linear time.
  const many = Array.from({ length: 200_000 }, () => phrase`${option("lr")}: bad`);
  const start = performance.now();
  assertEquals(spell(joinPhrases(many, "; "), FLAGS).length, 200_000 * 11 - 2);
  assertEquals(performance.now() - start < 5000, true, "seconds, and not minutes");
});

Deno.test("an error's message and hint are apart, and in the library's spelling", () => {
  const error = new UserError(phrase`${option("seqLen", 9)} is long`, phrase`see ${option("lr")}`);
  assertEquals([error.message, error.hint], ["seqLen: 9 is long", "see lr"]);
  assertEquals(inAll((spelling) => explain(error, spelling)), [
    "seqLen: 9 is long\n  hint: see lr",
    "--seq-len 9 is long\n  hint: see --lr",
    "seq_len: 9 is long\n  hint: see lr",
  ]);
  // As received from another process.
  const sent = JSON.parse(JSON.stringify(error.explanation));
  assertEquals(explain(sent, FLAGS), explain(error, FLAGS));
  assertEquals(explain(new UserError("plain"), FLAGS), "plain");
});

Deno.test("faults of options name them as whoever reads them does", () => {
  const error = assertThrows(
    () => pretrainOptions.parse({ ...RUN, batchSize: 0, energyShare: 0.5, rank: 8 }),
    OptionsError,
  );
  assertEquals(inAll((spelling) => explain(error, spelling)), [
    'batchSize: must be at least 1, got 0\nenergyShare: needs rank: "auto"',
    "--batch-size: must be at least 1, got 0\n--energy-share: needs --rank auto",
    'batch_size: must be at least 1, got 0\nenergy_share: needs rank: "auto"',
  ]);
  assertEquals(error.message, explain(error));
});

Deno.test("a description that names options reads right wherever it is read", () => {
  const { energyShare, warmupSteps } = pretrainOptions.fields;
  assertEquals(
    z.globalRegistry.get(energyShare)?.description,
    'share of a gradient\'s energy that rank: "auto" keeps',
  );
  assertEquals(
    documentField(energyShare).description,
    'share of a gradient\'s energy that rank: "auto" keeps',
  );
  assertStringIncludes(documentField(warmupSteps).description, "default: a tenth of steps");
  const help = commandHelp(pretrain);
  assertStringIncludes(help, "share of a gradient's energy that --rank auto keeps (default: 0.9)");
  assertStringIncludes(help, "(default: a tenth of --steps)");
});

Deno.test("a run that does not fit says what would, as options", () => {
  const config = presetOf(RUN.model)!, limit = 1.5 * 2 ** 30;
  const asked = pretrainOptions.parse({ ...RUN, batchSize: 64 });
  const run = { config, options: asked, shape: trainingShape(asked, config) };
  const error = assertThrows(() => assertFits(run, CONSUMER_CARD, limit), DoesNotFitError);
  const [{ options, bytes }] = error.alternatives;
  assertEquals(bytes <= limit, true);
  assertEquals(Object.keys(options).slice(0, 1), ["activationCheckpointing"]);
  assertMatch(
    error.message,
    /^this run needs \d\.\d+ GiB of GPU memory \(the rest of the driver's blocks [\d.]+ MiB\), 1\.500 GiB available \(/,
  );
  const [property, flag, field] = inAll((spelling) => explain(error, spelling));
  assertMatch(
    property,
    /\n {2}hint: these settings fit: activationCheckpointing: true(, \w+: \w+)* \(/,
  );
  assertMatch(
    flag,
    /\n {2}hint: these settings fit: --activation-checkpointing( --[a-z-]+( \d+)?)* \(/,
  );
  assertMatch(
    field,
    /\n {2}hint: these settings fit: activation_checkpointing: true(, \w+: \w+)* \(/,
  );

  const none = assertThrows(() => assertFits(run, CONSUMER_CARD, 1), DoesNotFitError);
  assertEquals(none.alternatives, []);
  assertEquals(none.hint, "no smaller batch, rank or length fits: choose a smaller model");
});
