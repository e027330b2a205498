/** Kernels timed before a run, once for each adapter and product. */
import type { Gpu } from "../gpu/gpu.ts";
import { cacheFolder } from "../host/cache_folder.ts";
import type { MatmulShape } from "../kernels/matmul/matmul.ts";
import { tileTimer, tuneTiles } from "../kernels/matmul/matmul_tuning.ts";
import { strategyFor } from "../kernels/strategy.ts";
import { VERSION } from "../product.ts";
import type { OnPreparation } from "./events.ts";
import { type Timings, TimingsFolder } from "./timings.ts";

/** Milliseconds that a run waits for it at most, beside the product in progress. */
const MOST_MS = 5000;

/**
 * Chooses the fastest variants of the kernels of a run. Does nothing on an adapter that has no
 * choice or no clock. What is found is remembered where that is allowed, for other runs.
 */
export async function tune(
  gpu: Gpu,
  products: () => readonly MatmulShape[],
  onPreparation: OnPreparation,
  timings: Timings | undefined = onThisMachine(),
): Promise<void> {
  const time = strategyFor(gpu.capabilities).matmul === "tiled" ? tileTimer(gpu) : undefined;
  if (!time) return;
  const key = await adapterKey(gpu);
  const known = { ...gpu.capabilities.timed?.tiles, ...await timings?.recall(key) };
  const tiles = await tuneTiles(time, products(), known, {
    most: MOST_MS,
    onProgress: (share) => onPreparation({ type: "preparation", what: "timing kernels", share }),
  });
  gpu.assume({ timed: { tiles } });
  if (Object.keys(tiles).length > Object.keys(known).length) await timings?.remember(key, tiles);
}

/** Undefined where a process may not write to the folder for it. */
function onThisMachine(): Timings | undefined {
  const folder = cacheFolder();
  return folder === undefined ? undefined : new TimingsFolder(folder);
}

/** Of all that decides how fast a kernel is. */
async function adapterKey({ adapter }: Gpu): Promise<string> {
  const { vendor, architecture, device, description } = adapter;
  const parts = [VERSION, Deno.version.deno, vendor, architecture, device, description];
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(parts.join("\n")));
  return new Uint8Array(hash).slice(0, 8).toHex();
}
