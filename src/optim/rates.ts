/** The hyperparameters of a step. No allocation depends on them, so a memory plan needs none. */
export interface OptimizerRates {
  /** Decay of Adam's first moment. */
  readonly beta1: number;
  /** Decay of Adam's second moment. */
  readonly beta2: number;
  /** Added to Adam's denominator. */
  readonly adamEps: number;
  /** Decoupled; multiplied by the learning rate. */
  readonly weightDecay: number;
  /**
   * The largest norm of gradients, 0 for none: where the optimizer's shape has `clips`.
   */
  readonly maxGradNorm: number;
  /** Steps after which the moments of matrices are reset; 0: never. */
  readonly momentumReset: number;
  /** GaLore's α: the factor of a low-rank update. */
  readonly galoreScale: number;
  /** APOLLO's α: an update is scaled by its root. */
  readonly apolloScale: number;
  /** Steps from a subspace's first refresh to its second, or between APOLLO's projections. */
  readonly updateProjGap: number;
  /** Similarities that the lazy rule averages; see lazy_refresh.ts. */
  readonly queueSize: number;
  /** Mean similarity from which a subspace counts as settled. */
  readonly cosThreshold: number;
  /** How much longer a settled subspace is kept. */
  readonly gammaProj: number;
  /** ReLoRA: steps after which adapters are merged and begin anew; none or 0: never. */
  readonly jaggedRestartSteps?: number;
  /** Steps over which the learning rate rises after that. */
  readonly jaggedRestartWarmupSteps?: number;
  /**
   * LoRA+ (Hayou et al. 2024, arXiv 2402.12354): the learning rate of an adapter's B as a multiple of
   * A's; 1 by default.
   */
  readonly loraplusLrRatio?: number;
  /** With another ratio than 1: the peak learning rate of an adapter on the embedding. */
  readonly loraplusLrEmbedding?: number;
  /** NEFTune's α; none or 0: no noise. */
  readonly neftuneNoiseAlpha?: number;
  /** Round updated weights stochastically. */
  readonly stochasticRound: boolean;
  /** Keys every random number of the run. */
  readonly seed: number;
}
