/** Rates for which updates are well above rounding error. */
import type { OptimizerRates } from "../../src/optim/rates.ts";
import type { RuleSizes } from "../../src/optim/rules/rule.ts";

export const RATES: OptimizerRates = {
  beta1: 0.9,
  beta2: 0.999,
  // With the usual ε, tiny gradients become steps of ±lr.
  adamEps: 1e-3,
  weightDecay: 0,
  maxGradNorm: 0,
  momentumReset: 0,
  galoreScale: 0.25,
  apolloScale: 1,
  updateProjGap: 200,
  queueSize: 5,
  cosThreshold: 0.4,
  gammaProj: 2,
  stochasticRound: false,
  seed: 42,
};

/** Of rules that have no space of their own. */
export const SIZES: RuleSizes = { rank: 0 };
