/** One run at a time trains on a device: two would share its memory and its time unseen. */
import type { Gpu } from "../gpu/gpu.ts";
import { UserError } from "../options/user_error.ts";

const runs = new WeakMap<Gpu, string>();

/**
 * Reserves a device for the run with this output folder, until the result is disposed of. Throws a
 * {@link UserError} if another run has it.
 */
export function occupy(gpu: Gpu, output: string): Disposable {
  const other = runs.get(gpu);
  if (other !== undefined) {
    throw new UserError(
      `${output}: this Gpu already trains ${other}, and trains one run at a time`,
      "run that trainer to its end or close it (`using trainer = …`), or open another Gpu",
    );
  }
  runs.set(gpu, output);
  return { [Symbol.dispose]: () => void runs.delete(gpu) };
}
