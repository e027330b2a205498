/** What changes logits before a token is chosen. */
export interface Adjustment {
  readonly bias: ArrayLike<number>;
  /** Ids. */
  readonly prompt: readonly number[];
  readonly generated: readonly number[];
  readonly repetitionPenalty: number;
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
}

/**
 * In float64. The repetition penalty is that of Keskar et al. 2019, the others are OpenAI's:
 * mu[j] −= c[j] · frequency + (c[j] > 0) · presence, c[j] the times that j was generated.
 */
export function adjustLogits(logits: ArrayLike<number>, io: Adjustment): Float64Array {
  return Float64Array.from(logits, (logit, id) => {
    const biased = logit + io.bias[id];
    const times = io.generated.filter((each) => each === id).length;
    const seen = times > 0 || io.prompt.includes(id);
    const factor = biased < 0 ? io.repetitionPenalty : 1 / io.repetitionPenalty;
    const penalised = seen ? biased * factor : biased;
    return penalised - times * io.frequencyPenalty - Number(times > 0) * io.presencePenalty;
  });
}
