/** The speeds of methods, measured in turns, so that what else the machine does slows all of them. */
import type { Gpu } from "../gpu/gpu.ts";
import { measureTraining } from "../train/training_speed.ts";
import type { CompareEvent, Comparing } from "./events.ts";
import type { ComparedMethod } from "./methods.ts";
import type { Recipes } from "./recipes.ts";
import type { SpeedRecord } from "./record.ts";

const SPEEDS = { rounds: 3, milliseconds: 1500 };

/**
 * Whole rounds alone are returned. Those that `known` has are kept if all methods took part in them:
 * windows of two sittings are not compared.
 */
export async function* measureSpeeds(
  gpu: Gpu,
  methods: readonly ComparedMethod[],
  recipes: Recipes,
  known: readonly SpeedRecord[],
  { signal, speeds: { rounds, milliseconds } = SPEEDS }: Comparing,
): AsyncGenerator<CompareEvent, readonly SpeedRecord[]> {
  const has = ({ name }: ComparedMethod, round: number) =>
    known.some((speed) => speed.method === name && speed.round === round);
  const all = Array.from({ length: rounds }, (_, at) => at + 1);
  if (all.every((round) => methods.every((method) => has(method, round)))) return known;
  const whole: SpeedRecord[] = [];
  for (const round of all) {
    const windows: SpeedRecord[] = [];
    for (const method of methods) {
      if (signal?.aborted) return whole;
      yield { type: "measuring", method: method.name, round, rounds };
      const { recipe: { config, shape, rates } } = await recipes.of(method);
      const { gradientAccumulation } = shape.optimizer;
      const measured = await measureTraining(
        gpu,
        { config, shape, options: method.options, gradientAccumulation, rates },
        { milliseconds, signal },
      );
      if (!measured) return whole;
      const { tokens_per_second, refresh_ms } = measured;
      const speed = { method: method.name, round, tokens_per_second, refresh_ms };
      windows.push(speed);
      yield { type: "speed", ...speed };
    }
    whole.push(...windows);
  }
  return whole;
}
