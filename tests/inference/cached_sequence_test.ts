import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { UserError } from "../../src/options/user_error.ts";
import { Gpu } from "../../src/gpu/gpu.ts";
import { ShapeError } from "../../src/numbers/shape_error.ts";
import { CachedSequence } from "../../src/inference/cached_sequence.ts";
import type { CachedSequenceOptions } from "../../src/inference/sequence_buffers.ts";
import { continueTokens } from "../../src/inference/generate.ts";
import { LlamaForCausalLM } from "../../src/inference/llama_for_causal_lm.ts";
import { assertClose, gpuTest } from "../support.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/models/"));
const PROMPT = Array.from({ length: 51 }, (_, i) => (i * i * 7 + 3 * i + 11) % 200);

// Sums of some hundred float32 products in another order: some units in the last place of the
// largest logits, which are about 1.
const ROUNDING = { atol: 2e-5, rtol: 2e-5 };

async function withModel(
  gpu: Gpu,
  name: string,
  run: (
    model: LlamaForCausalLM,
    sequence: (options: CachedSequenceOptions) => CachedSequence,
  ) => Promise<void>,
): Promise<void> {
  const model = await LlamaForCausalLM.fromPretrained(FIXTURES + name, { gpu });
  const live = gpu.account.live, made: CachedSequence[] = [];
  try {
    await run(model, (options) => {
      made.push(new CachedSequence(model, options));
      return made.at(-1)!;
    });
  } finally {
    made.forEach((sequence) => sequence.release());
    assertEquals(gpu.account.live, live, "all is released");
    model.release();
  }
}

// A sliding window, grouped queries, normalised heads, scaled embeddings.
for (const name of ["mistral-window", "llama-gqa-tied", "qwen3-qknorm", "gemma-geglu"]) {
  gpuTest(
    `${name}: a prompt in chunks has the logits of the whole`,
    (gpu) =>
      withModel(gpu, name, async (model, sequence) => {
        const options = { batch: 1, length: PROMPT.length };
        const { logits } = await model.lossAndGradients(PROMPT, PROMPT, options);
        const expected = logits.slice(-model.config.vocabSize);
        for (const chunk of [512, 17, 7, 1]) {
          const actual = await sequence({ positions: 60, chunk }).logits(PROMPT);
          assertClose(`chunks of ${chunk}`, actual, expected, ROUNDING);
        }
      }),
  );
}

gpuTest(
  "a beginning that is known is not run again, and changes nothing",
  (gpu) =>
    withModel(gpu, "mistral-window", async (_, sequence) => {
      const used = sequence({ positions: 60 });
      await used.logits(PROMPT);
      for (
        const [tokens, known] of [
          [PROMPT.slice(0, 30), 29], // back to a prefix
          [[...PROMPT.slice(0, 30), 5, 6], 30], // goes on
          [[...PROMPT.slice(0, 12), 1, 2, 3], 12], // diverges
          [[9, 8, 7], 0], // has nothing in common
          [[9, 8, 7], 2], // the same again
        ] as const
      ) {
        const uploaded = countTokens(used);
        const actual = await used.logits(tokens);
        assertEquals(uploaded(), tokens.length - known);
        const fresh = await sequence({ positions: 60 }).logits(tokens);
        assertClose(`${tokens.length} tokens`, actual, fresh, ROUNDING);
      }
    }),
);

/** Counts the tokens that a sequence processes, by intercepting uploads. */
function countTokens({ model: { gpu } }: CachedSequence) {
  let count = 0;
  const { write } = gpu;
  gpu.write = (tensor, ...rest) => {
    if (tensor.name === "tokens") count += tensor.shape[0];
    write.call(gpu, tensor, ...rest);
  };
  return () => {
    gpu.write = write;
    return count;
  };
}

gpuTest(
  "the cache grows as the sequence does, and no further than the model",
  (gpu) =>
    withModel(gpu, "mistral-window", async (model, sequence) => {
      const grown = sequence({ positions: 4 });
      for (const length of [3, 9, 10, 40]) {
        const actual = await grown.logits(PROMPT.slice(0, length));
        assertEquals(grown.cached, length);
        const fresh = await sequence({ positions: 60 }).logits(PROMPT.slice(0, length));
        assertClose(`${length} tokens`, actual, fresh, ROUNDING);
      }
      const most = model.config.maxPositions;
      grown.reserve(most);
      assertEquals(grown.cached, 40);
      const long = Array.from({ length: most + 1 }, () => 1);
      const message = `${most + 1} tokens exceed the model's ${most} positions`;
      await assertRejects(() => grown.logits(long), UserError, message);
      await assertRejects(() => grown.logits([300]), UserError, "token id 300");
      assertEquals((await grown.logits(PROMPT)).length, model.config.vocabSize);
    }),
);

gpuTest(
  "activations are those of a chunk, not of the prompt",
  (gpu) =>
    withModel(gpu, "llama-mha", (_, sequence) => {
      const bytes = (options: CachedSequenceOptions) => {
        const before = gpu.account.live;
        sequence(options);
        return gpu.account.live - before;
      };
      const [short, long, whole] = [
        bytes({ positions: 16, chunk: 16 }),
        bytes({ positions: 128, chunk: 16 }),
        bytes({ positions: 128, chunk: 128 }),
      ];
      // Only keys and values, RoPE's table and their staging still grow.
      assert(long - short < (whole - short) / 2, `${short}, ${long}, ${whole}`);
      return Promise.resolve();
    }),
);

gpuTest(
  "a stopped prompt goes on where it was",
  (gpu) =>
    withModel(gpu, "llama-mha", async (_, sequence) => {
      const controller = new AbortController();
      const stopped = sequence({ positions: 60, chunk: 20 });
      const { write } = gpu;
      gpu.write = (...args) => {
        controller.abort(new DOMException("enough", "AbortError"));
        write.apply(gpu, args);
      };
      try {
        await assertRejects(
          () => stopped.logits(PROMPT, controller.signal),
          DOMException,
          "enough",
        );
      } finally {
        gpu.write = write;
      }
      assertEquals(stopped.cached, 20);
      const fresh = await sequence({ positions: 60 }).logits(PROMPT);
      assertClose("afterwards", await stopped.logits(PROMPT), fresh, ROUNDING);
    }),
);

gpuTest(
  "generation with a used sequence is that with a fresh one",
  (gpu) =>
    withModel(gpu, "llama-gqa-tied", async (model, sequence) => {
      const options = { maxNewTokens: 12, temperature: 0 };
      const used = sequence({ positions: 20 });
      const first = await Array.fromAsync(continueTokens(used, PROMPT.slice(0, 10), options));
      const prompt = [...PROMPT.slice(0, 10), ...first, 4, 5, 6];
      assertEquals(
        await Array.fromAsync(continueTokens(used, prompt, options)),
        await Array.fromAsync(model.generate(prompt, options)),
      );
    }),
);

// A sliding window has first keys of its own at every step.
for (const name of ["llama-gqa-tied", "mistral-window"]) {
  gpuTest(
    `${name}: an answer left early, and what was decoded beyond, changes nothing that follows`,
    (gpu) =>
      withModel(gpu, name, async (model, sequence) => {
        const used = sequence({ positions: 60 }), prompt = PROMPT.slice(0, 8);
        const options = { maxNewTokens: 40, temperature: 0 };
        const whole = await Array.fromAsync(model.generate(prompt, options));
        for (const length of [1, 2, 7, 20]) {
          const begun: number[] = [];
          for await (const id of continueTokens(used, prompt, options)) {
            begun.push(id);
            if (begun.length === length) break;
          }
          assertEquals(begun, whole.slice(0, length));
          const known = [...prompt, ...begun];
          assert(used.cached >= known.length - 1, "the answer is cached but for its last token");
          const fresh = sequence({ positions: 60 });
          for (const more of [[7, 7], []]) {
            const actual = await used.logits([...known, ...more]);
            assertClose(`${length}`, actual, await fresh.logits([...known, ...more]), ROUNDING);
          }
        }
      }),
  );
}

gpuTest(
  "decoding is the host's choice from the logits of each token",
  (gpu) =>
    withModel(gpu, "llama-gqa-tied", async (_, sequence) => {
      const used = sequence({ positions: 60 }), tokens = PROMPT.slice(0, 8);
      const options = { maxNewTokens: 24, temperature: 0 };
      const actual = await Array.fromAsync(continueTokens(used, tokens, options));
      const one = sequence({ positions: 60 });
      for (const id of actual) {
        const logits = await one.logits(tokens);
        assertEquals(id, logits.indexOf(Math.max(...logits)));
        tokens.push(id);
      }
    }),
);

gpuTest(
  "an answer does not continue in a sequence that was used otherwise",
  (gpu) =>
    withModel(gpu, "llama-mha", async (_, sequence) => {
      const used = sequence({ positions: 60 });
      const answer = continueTokens(used, PROMPT.slice(0, 5), { maxNewTokens: 40, temperature: 0 });
      await answer.next();
      await used.logits(PROMPT.slice(0, 3));
      await assertRejects(
        () => Array.fromAsync(answer),
        UserError,
        "decode: the sequence was used otherwise meanwhile",
      );
      assertEquals(used.cached, 3);
    }),
);

gpuTest(
  "what an error leaves behind does not count as cached",
  (gpu) =>
    withModel(gpu, "llama-mha", async (model, sequence) => {
      const used = sequence({ positions: 60 }), prompt = PROMPT.slice(0, 5);
      const options = { maxNewTokens: 20, temperature: 0 };
      const { pipelines, read } = gpu, { get } = pipelines;
      let reading: Promise<unknown> | undefined;
      // The next step fails while the first token is read.
      gpu.read = (...args) => {
        pipelines.get = () => {
          throw new Error("lost");
        };
        return reading = read.apply(gpu, args);
      };
      await assertRejects(() => Array.fromAsync(used.decode(prompt, options)), Error, "lost");
      pipelines.get = get;
      gpu.read = read;
      await reading;
      assertEquals(used.cached, prompt.length);
      assertEquals(
        await Array.fromAsync(used.decode(prompt, options)),
        await Array.fromAsync(model.generate(prompt, options)),
      );
    }),
);

Deno.test("decoding compiles all kernels before its first token, and says so", async () => {
  using gpu = await Gpu.open();
  await withModel(gpu, "mistral-window", async (_, sequence) => {
    const used = sequence({ positions: 60, chunk: 17 }),
      compiled = () => [...gpu.pipelines.compiled()].length;
    const reports: [done: number, total: number][] = [],
      options = {
        temperature: 0.8,
        topP: 0.9,
        repetitionPenalty: 1.2,
        maxNewTokens: 4,
        onCompile: (done: number, total: number) => void reports.push([done, total]),
      };
    const before = compiled(), after = [];
    for await (const _ of used.decode(PROMPT, options)) after.push(compiled());
    const [first, last] = [reports[0], reports.at(-1)!], total = last[1];
    assertEquals([first, last], [[0, total], [total, total]]);
    assertEquals(after, after.map(() => before + total));
    // The same again has nothing to compile.
    reports.length = 0;
    for await (const _ of used.decode(PROMPT, options)) assertEquals(compiled(), after[0]);
    assertEquals(reports, []);
  });
});

gpuTest(
  "ids that are none are named, and leave the sequence as it was",
  (gpu) =>
    withModel(gpu, "mistral-window", async (_, sequence) => {
      const used = sequence({ positions: 60 }), options = { maxNewTokens: 4, temperature: 0 };
      const decode = (tokens: number[]) => Array.fromAsync(continueTokens(used, tokens, options));
      const answer = await decode(PROMPT);
      for (const id of [1.5, -1, NaN]) {
        await assertRejects(
          () => decode([...PROMPT.slice(0, 40), id]),
          ShapeError,
          `token id ${id} at position`,
        );
      }
      await assertRejects(() => decode([100_000]), ShapeError, "outside the vocabulary");
      assertEquals(await decode(PROMPT), answer);
    }),
);
