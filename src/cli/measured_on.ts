/** What a line of `bench --json` says of where it was measured, so that it can be told from others'. */
import { adapterName } from "../gpu/adapter.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { VERSION } from "../product.ts";

export const measuredOn = ({ adapter }: Pick<Gpu, "adapter">) => ({
  adapter: adapterName(adapter),
  system: `${Deno.build.os} ${Deno.build.arch}`,
  version: VERSION,
  deno: Deno.version.deno,
});
