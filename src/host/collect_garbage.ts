/** Memory that nothing uses any more, given back before V8 would by itself. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

let collect: (() => void) | undefined;

/**
 * Collects garbage, which takes tens of milliseconds. V8 does so when allocations call for it, and
 * until then keeps the room that its young generation grew to: some 60 MB after models are loaded
 * and kernels compiled. A step of minutes allocates next to nothing, so it would be kept throughout.
 */
export function collectGarbage(): void {
  if (!collect) {
    setFlagsFromString("--expose-gc"); // in contexts that are made from now on
    collect = runInNewContext("globalThis.gc") as () => void;
  }
  collect();
}
