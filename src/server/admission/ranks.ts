/** Jobs that train in several processes: what one of them needs, and whether there is room for all. */
import type { LlamaConfig } from "../../model/config.ts";
import type { TrainingShape } from "../../train/build.ts";
import type { FinetuneOptions } from "../../train/finetune_options.ts";
import { trainingShape } from "../../train/method.ts";
import type { PretrainOptions } from "../../train/options.ts";
import { ApiError } from "../api_error.ts";
import type { Services } from "../services.ts";

/** The sizes of each of a job's processes. */
export function shapeOfEach(
  options: PretrainOptions | FinetuneOptions,
  config: LlamaConfig,
  ranks: number,
): TrainingShape {
  // Those that train by themselves between meetings need what one does.
  const isAlone = ranks === 1 || options.localSteps !== undefined;
  return trainingShape(isAlone ? options : { ...options, ranks }, config);
}

/** What a job says of its processes, if they are several. */
export const several = (ranks: number): { readonly ranks?: number } => ranks > 1 ? { ranks } : {};

/** Throws an ApiError 400 for more processes than could ever run together. `param` names the field. */
export function assertPlaces(services: PlaceServices, ranks: number, param: string): void {
  if (ranks === 1) return;
  const { own, pool } = services, missing = missingLauncher(services);
  const here = missing === undefined ? own.length : 1, most = Math.max(here, pool?.mostRanks ?? 0);
  if (ranks <= most) return;
  const [possible, why] = missing !== undefined && ranks <= own.length
    ? [most, missing]
    : [Math.max(1, own.length, most), "no machine has more workers"];
  const message = `${param}: must be at most ${possible}, got ${ranks}: ${why}`;
  throw new ApiError(400, { message, param, code: "invalid_hyperparameters" });
}

type PlaceServices = Pick<Services, "own" | "findLauncher" | "pool">;

/** Why the server itself starts no several processes, if that is so. */
function missingLauncher({ findLauncher }: PlaceServices): string | undefined {
  try {
    findLauncher();
  } catch (error) {
    return (error as Error).message;
  }
}
