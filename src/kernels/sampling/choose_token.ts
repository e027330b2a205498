import code from "../../../shaders/sampling/choose_token.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { columnsOf } from "../../numbers/layout.ts";
import { ShapeError } from "../../numbers/shape_error.ts";
import { shader } from "../shader.ts";

const kernel = shader("choose_token", code, { constants: { WORKGROUP_SIZE: 256 } });

/** Beyond it sums of weights would overflow, and a thread's loops end on a software adapter. */
const MOST_TOKENS = 2 ** 21 - 1;

/** Filters of {@link chooseToken}; those left out keep all tokens. */
export interface TokenFilters {
  /** Keep the k likeliest, and those as likely as the last of them; 0 keeps all. */
  readonly topK?: number;
  /** Keep the fewest whose probabilities reach this sum. */
  readonly topP?: number;
  /** Keep those of at least this share of the likeliest one's probability. */
  readonly minP?: number;
}

/** Operands of {@link chooseToken}. */
export interface ChooseToken extends TokenFilters {
  /** (1, V) float32, V below 2²¹. */
  readonly logits: Tensor;
  /** (1) uint32, overwritten with the token. */
  readonly token: Tensor;
  /** (T) uint32; the element at `position` is overwritten with the token. */
  readonly history: Tensor;
  /** Of the token in `history`. */
  readonly position: number;
  /** (V) uint32; that of the token is increased by 1. */
  readonly occurrences: Tensor;
  /** 0 takes the likeliest token. */
  readonly temperature: number;
  /** A random number below 2³²: which share of the kept probabilities comes before the token. */
  readonly random: number;
}

/**
 * Chooses a token: the likeliest, or one drawn after the filters top-k, top-p and min-p, in the
 * order of tokens from the likeliest on, equally likely ones by id. Throws a {@link ShapeError} on
 * operands that do not match.
 */
export function chooseToken(pass: KernelPass, io: ChooseToken): void {
  const { logits, token, history, occurrences, position, random } = io;
  const { temperature, topK = 0, topP = 1, minP = 0 } = io;
  const vocabulary = columnsOf(logits.shape), capacity = columnsOf(history.shape);
  expectDType("chooseToken", "logits", logits, "float32");
  expectShape("chooseToken", "logits", logits, [1, vocabulary]);
  expectDType("chooseToken", "token", token, "uint32");
  expectShape("chooseToken", "token", token, [1]);
  expectDType("chooseToken", "history", history, "uint32");
  expectShape("chooseToken", "history", history, [capacity]);
  expectDType("chooseToken", "occurrences", occurrences, "uint32");
  expectShape("chooseToken", "occurrences", occurrences, [vocabulary]);
  if (vocabulary > MOST_TOKENS || !(position >= 0 && position < capacity)) {
    throw new ShapeError(
      `chooseToken: V must be at most ${MOST_TOKENS} and position below ${capacity}, ` +
        `got ${vocabulary} and ${position}`,
    );
  }
  pass.dispatch({
    kernel,
    operands: { logits, token, history, occurrences },
    params: {
      vocabulary,
      quads: Math.ceil(vocabulary / 4),
      position,
      temperature: temperature === 0 ? 0 : Math.min(Math.max(temperature, COLDEST), HOTTEST),
      top_k: topK < vocabulary ? topK : 0,
      top_p: Math.floor(Math.min(topP, 1 - 2 ** -32) * 2 ** 32),
      nucleus: topP < 1 ? 1 : 0,
      min_p: minP,
      random,
    },
    workgroups: [1],
  });
}

/** Beyond these only the likeliest tokens are drawn, or all alike, and float32 would overflow. */
const COLDEST = 1e-30, HOTTEST = 1e30;
