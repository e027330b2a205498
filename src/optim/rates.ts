/** The hyperparameters of a step. No allocation depends on them, so a memory plan needs none. */
export interface OptimizerRates {
  readonly beta1: number;
  readonly beta2: number;
  readonly adamEps: number;
  /** Decoupled; multiplied by the learning rate. */
  readonly weightDecay: number;
  /** GaLore's α: the factor of a low-rank update. */
  readonly galoreScale: number;
  /** Steps from a subspace's first refresh to its second. */
  readonly updateProjGap: number;
  /** The lazy rule; see lazy_refresh.ts. */
  readonly queueSize: number;
  readonly cosThreshold: number;
  readonly gammaProj: number;
  /** Round updated weights stochastically. */
  readonly stochasticRound: boolean;
  /** Keys every random number of the run. */
  readonly seed: number;
}
