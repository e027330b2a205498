/** Choices from logits that a test gives, instead of a model's. */
import type { Gpu } from "../../src/gpu/gpu.ts";
import { KernelPass } from "../../src/gpu/pass.ts";
import type { SamplingOptions } from "../../src/inference/sampling.ts";
import { createChoiceBuffers, TokenChoice } from "../../src/inference/token_choice.ts";
import { download, upload } from "../support.ts";

/** Chooses tokens after the prompt `tokens`, from logits as many as these. */
export function chooser(
  gpu: Gpu,
  { tokens, logits: { length: vocabSize } }: {
    readonly tokens: readonly number[];
    readonly logits: readonly number[];
  },
  { positions = 64, ...options }: SamplingOptions & { readonly positions?: number },
) {
  const buffers = createChoiceBuffers(gpu, { vocabSize }, positions);
  const logits = upload(gpu, "logits", [1, vocabSize]);
  const token = gpu.tensor({ name: "token", shape: [1], dtype: "uint32", purpose: "workspace" });
  const choice = new TokenChoice(gpu, buffers, tokens, options);
  return {
    choice,
    logits,
    token,
    /** The next token, from these logits. */
    async choose(values: readonly number[]): Promise<number> {
      gpu.write(logits, Float32Array.from({ length: logits.stride }, (_, id) => values[id] ?? 0));
      const pass = new KernelPass(gpu);
      choice.record(pass, { logits, token });
      pass.submit();
      return new Uint32Array((await gpu.read(token)).buffer)[0];
    },
    /** The logits that the last token was chosen from. */
    changed: async (): Promise<number[]> => [...await download(gpu, logits)],
  };
}
