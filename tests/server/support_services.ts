/** Services for routes that are called without a server: a real store, and parts that do nothing. */
import { serverOptions } from "../../src/server/options.ts";
import type { Services } from "../../src/server/services.ts";
import { Store } from "../../src/server/store/store.ts";

/** A part that fails whatever is asked of it, and says which it was. */
function missing<Part extends object>(name: string): Part {
  return new Proxy({} as Part, {
    get: (_, member) => {
      throw new Error(`this test has no services.${name} (asked for ${String(member)})`);
    },
  });
}

/** `options` as on the command line. The store is in memory and closed by `close`. */
export function testServices(
  { options = {}, ...parts }:
    & Partial<Omit<Services, "options">>
    & { readonly options?: Record<string, unknown> } = {},
): Services & { close(): void } {
  const store = parts.store ?? Store.open(":memory:");
  return {
    options: serverOptions.parse(options),
    device: {
      name: "test adapter",
      software: true,
      machine: {
        variant: "texture",
        limits: { maxBufferSize: 2 ** 30, maxTextureDimension2D: 8192 },
      },
    },
    log: missing("log"),
    streams: missing("streams"),
    metrics: missing("metrics"),
    jobs: missing("jobs"),
    models: missing("models"),
    inference: missing("inference"),
    storage: missing("storage"),
    ...parts,
    store,
    close: () => store.close(),
  };
}
