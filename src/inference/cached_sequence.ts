/**
 * A growing sequence on the device, with a KV cache. A prompt goes in as one batch, or few large
 * ones; decoded tokens stay on the device, where each is the next one's input, and are read several
 * at a time.
 */
import { UserError } from "../options/user_error.ts";
import { compileKernels } from "../gpu/compile_kernels.ts";
import { KernelPass, rehearse } from "../gpu/pass.ts";
import { rowRange, type Tensor } from "../gpu/tensor.ts";
import { unpackTensor } from "../numbers/plain.ts";
import { ShapeError } from "../numbers/shape_error.ts";
import type { Activations } from "../model/activations.ts";
import { forward } from "../model/forward.ts";
import { finalNorm, headLogits } from "../model/head.ts";
import { uploadFirstKeys, uploadInputs } from "../model/inputs.ts";
import { uploadRope } from "../model/llama.ts";
import { ropeRegime, turnsByLength } from "../model/rope.ts";
import { longestSequence } from "../model/rope_scaling.ts";
import { activationRows } from "./activation_rows.ts";
import { readAhead, readEach } from "./read_ahead.ts";
import type { RunnableModel } from "./runnable_model.ts";
import type { SamplingOptions } from "./sampling.ts";
import {
  type Buffers,
  type CachedSequenceOptions,
  CHUNK,
  createBuffers,
} from "./sequence_buffers.ts";
import { TokenChoice } from "./token_choice.ts";

/** How a sequence is continued. */
export interface ContinueOptions extends SamplingOptions {
  /** The most tokens to generate. */
  readonly maxNewTokens: number;
  /** Seed of the sampling; 0 by default. */
  readonly seed?: number;
  /** Stops between tokens or chunks of the prompt and throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called while kernels are compiled, before the first token; at the end with all of them. */
  readonly onCompile?: (done: number, total: number) => void;
}

export class CachedSequence {
  readonly #chunk: number;
  #buffers: Buffers;
  /** The cached tokens. */
  #tokens: number[] = [];
  /** Of each, the {@link ropeRegime} of its frequencies. */
  #regimes: number[] = [];
  /** Changes whenever tokens are given that need not be those decoded last. */
  #use = 0;

  constructor(readonly model: RunnableModel, { positions, chunk = CHUNK }: CachedSequenceOptions) {
    this.#chunk = chunk;
    this.#buffers = createBuffers(model, positions, chunk);
  }

  /** Number of cached tokens. */
  get cached(): number {
    return this.#tokens.length;
  }

  /**
   * Grows the cache to `positions` tokens, keeping its contents; while copying, both caches are
   * allocated. Throws a {@link UserError} beyond the model's positions.
   */
  reserve(positions: number): void {
    const { gpu, config } = this.model;
    const longest = longestSequence(config);
    if (positions > longest) {
      throw new UserError(`${positions} tokens exceed the model's ${longest} positions`);
    }
    const old = this.#buffers;
    if (positions <= old.cache.capacity) return;
    // Grow geometrically: a conversation grows at every turn, and each copy costs time.
    const capacity = Math.min(
      longest,
      Math.max(positions, Math.ceil(1.5 * old.cache.capacity)),
    );
    const grown = this.#buffers = createBuffers(this.model, capacity, this.#chunk);
    const pass = new KernelPass(gpu);
    old.cache.layers.forEach(({ key, value }, layer) => {
      pass.copy(key, grown.cache.layers[layer].key);
      pass.copy(value, grown.cache.layers[layer].value);
    });
    pass.submit();
    old.scope.release();
  }

  /**
   * The logits (V) after the last of these tokens, at least one. A cached prefix is not recomputed.
   * An abort takes effect between chunks; what was computed stays cached.
   */
  async logits(tokens: readonly number[], signal?: AbortSignal): Promise<Float32Array> {
    this.reserve(tokens.length);
    await this.#enter(tokens, signal);
    const { logits } = this.#buffers;
    return unpackTensor(logits, await this.model.gpu.read(logits));
  }

  /**
   * Yields the tokens that follow the prompt, of at least one token. Leave it early to stop: what
   * was decoded beyond is dropped. Throws an error if the sequence is used otherwise meanwhile.
   */
  async *decode(prompt: readonly number[], options: ContinueOptions): AsyncGenerator<number> {
    const { maxNewTokens, signal } = options;
    if (maxNewTokens === 0) return;
    const { gpu, config, parameters } = this.model;
    this.reserve(prompt.length + maxNewTokens);
    await this.#compile(prompt, options);
    const choice = new TokenChoice(gpu, this.#buffers.choice, prompt, options);
    const use = await this.#enter(prompt, signal), { history } = this.#buffers.choice;
    const pass = new KernelPass(gpu);
    const submit = (index: number) => {
      if (use !== this.#use) {
        throw new UserError(
          "decode: the sequence was used otherwise meanwhile",
          "leave one answer before the next begins, or give each a sequence of its own",
        );
      }
      if (index > 0) this.#runChosen(pass, () => this.#tokens.at(-1)!);
      choice.record(pass, { logits: this.#buffers.logits, token: this.#buffers.single.tokens });
      pass.submit();
    };
    const read = async (start: number, end: number) => {
      const first = prompt.length + start;
      const bytes = await gpu.read(history, 4 * first, 4 * (end - start));
      const tokens = new Uint32Array(bytes.buffer);
      if (use !== this.#use) return tokens;
      tokens.forEach((token, index) => {
        this.#tokens.push(token);
        this.#regimes.push(ropeRegime(config, first + index + 1));
      });
      return tokens;
    };
    try {
      const results = parameters.embedding.host ? readEach : readAhead;
      yield* results({ submit, read }, maxNewTokens, signal);
    } finally {
      if (use === this.#use) {
        this.#keep(Math.min(this.#tokens.length, this.#buffers.cache.length));
        this.#use++; // a read that an error left behind must not add to them
      }
    }
  }

  /** Compiles what a prompt and the tokens after it need, found by recording both without running. */
  async #compile(prompt: readonly number[], options: ContinueOptions): Promise<void> {
    const { gpu, config } = this.model, { cache, choice, last, logits, single } = this.#buffers;
    const { length } = cache;
    const record = () => {
      const pass = new KernelPass(gpu);
      cache.length = this.#reusable(prompt, ropeRegime(config, prompt.length));
      const rest = prompt.length - cache.length, chunk = Math.min(rest, this.#chunk);
      for (const count of new Set([chunk, (rest - 1) % chunk + 1])) {
        this.#run(pass, prompt.slice(0, count));
      }
      this.#head(pass, last);
      const token = single.tokens;
      new TokenChoice(gpu, choice, prompt, options).record(pass, { logits, token });
      cache.length = prompt.length;
      if (options.maxNewTokens > 1) this.#runChosen(pass, () => prompt[0]);
      pass.submit();
    };
    let kernels;
    try {
      kernels = rehearse(gpu, record);
    } finally {
      cache.length = length;
    }
    if (!kernels.length) return;
    const { onCompile = () => {}, signal } = options;
    try {
      await compileKernels(gpu, kernels, onCompile, signal);
    } finally {
      onCompile(kernels.length, kernels.length);
    }
  }

  /**
   * Runs the tokens that are not cached; the logits after the last are then in their buffer. Returns
   * the number of this use.
   *
   * Where RoPE's frequencies depend on the length (dynamic, longrope), a single new token is added
   * to the cache as it is, with the frequencies of the new length, as transformers decodes; several
   * need a cache of their own frequencies, as transformers starts from none.
   */
  async #enter(tokens: readonly number[], signal?: AbortSignal): Promise<number> {
    const { gpu } = this.model, { last } = this.#buffers;
    const use = ++this.#use;
    const regime = ropeRegime(this.model.config, tokens.length);
    let done = this.#reusable(tokens, regime);
    this.#keep(done);
    this.#turn(done, tokens.length);
    let before: Promise<void> | undefined;
    while (done < tokens.length) {
      signal?.throwIfAborted();
      const chunk = tokens.slice(done, done + this.#chunk);
      done += chunk.length;
      const pass = new KernelPass(gpu);
      const normed = this.#run(pass, chunk);
      if (done === tokens.length) {
        pass.copy(rowRange(normed, chunk.length - 1, chunk.length), last);
        this.#head(pass, last);
      }
      pass.submit();
      for (const token of chunk) {
        this.#tokens.push(token);
        this.#regimes.push(regime);
      }
      // Otherwise the whole prompt would be submitted before an abort could be noticed. A wait takes
      // 11 ms or more, in which the device has the next chunk.
      await before;
      before = done < tokens.length ? gpu.settled() : undefined;
      before?.catch(() => {}); // should an abort come first
    }
    return use;
  }

  /** Releases its memory. */
  release(): void {
    this.#buffers.scope.release();
  }

  /** How many of the tokens need not run. The last one always does, for its logits. */
  #reusable(tokens: readonly number[], regime: number): number {
    const common = commonLength(this.#tokens, tokens);
    if (common === this.#tokens.length && common === tokens.length - 1) return common; // decoding
    const other = this.#regimes.findIndex((each) => each !== regime);
    return Math.min(common, tokens.length - 1, other < 0 ? Infinity : other);
  }

  /** Forgets all but the first tokens. */
  #keep(count: number): void {
    this.#tokens.length = this.#regimes.length = this.#buffers.cache.length = count;
  }

  /** Positions from `start` on get the frequencies of a sequence that ends before `end`. */
  #turn(start: number, end: number): void {
    const { gpu, config } = this.model;
    if (turnsByLength(config)) uploadRope(gpu, this.#buffers.llama, { start, end, length: end });
  }

  /** Records a pass over the next tokens; returns their normalised outputs (n, C). */
  #run(pass: KernelPass, tokens: readonly number[]): Tensor {
    const { gpu } = this.model;
    const { llama, activations, single, cache } = this.#buffers;
    const rows = tokens.length === 1 ? single : activationRows(activations, tokens.length);
    const bad = tokens.findIndex((id) => !Number.isInteger(id) || id < 0);
    if (bad >= 0) {
      throw new ShapeError(
        `token id ${tokens[bad]} at position ${cache.length + bad} must be a whole number from 0`,
      );
    }
    uploadInputs(gpu, llama, rows, { inputs: Uint32Array.from(tokens), offset: cache.length });
    return this.#layers(pass, rows);
  }

  /**
   * Records a pass over the token that was chosen, up to the logits after it. If the embedding is in
   * host memory, the token must have been read.
   */
  #runChosen(pass: KernelPass, token: () => number): void {
    const { gpu, config, parameters } = this.model, { single, cache } = this.#buffers;
    this.#turn(cache.length, cache.length + 1);
    if (parameters.embedding.host) {
      this.#head(pass, this.#run(pass, [token()]));
      return;
    }
    if (config.slidingWindow) uploadFirstKeys(gpu, config, single, { offset: cache.length });
    this.#head(pass, this.#layers(pass, single));
  }

  #layers(pass: KernelPass, rows: Activations): Tensor {
    const { llama, cache } = this.#buffers;
    forward(pass, llama, rows, cache);
    finalNorm(pass, llama, rows);
    return rows.normed;
  }

  #head(pass: KernelPass, x: Tensor): void {
    const { llama, logits } = this.#buffers;
    headLogits(pass, llama, { x, logits });
  }
}

function commonLength(a: readonly number[], b: readonly number[]): number {
  const limit = Math.min(a.length, b.length);
  let length = 0;
  while (length < limit && a[length] === b[length]) length++;
  return length;
}
