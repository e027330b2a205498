/** Compiles kernels before the work that needs them, with progress; see `rehearse` in pass.ts. */
import type { Gpu } from "./gpu.ts";
import { type Dispatch, KernelPass } from "./pass.ts";

/** Milliseconds between reports. */
const REPORT_EVERY_MS = 50;

/** Compiles them one by one, and says how many are done; returns early if the signal aborts. */
export async function compileKernels(
  gpu: Gpu,
  dispatches: readonly Dispatch[],
  report: (done: number, total: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  const pass = new KernelPass(gpu), total = dispatches.length;
  let reported = -Infinity;
  for (const [done, dispatch] of dispatches.entries()) {
    if (performance.now() - reported >= REPORT_EVERY_MS) {
      report(done, total);
      await new Promise((resolve) => setTimeout(resolve)); // for displays and signals
      if (signal?.aborted) return;
      reported = performance.now();
    }
    pass.compile(dispatch);
  }
}
