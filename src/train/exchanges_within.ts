/** Exchanges of ranks within a step's passes, in the places of the held work where each waits. */
import type { KernelPass } from "../gpu/pass.ts";
import type { Llama } from "../model/llama.ts";
import type { GroupWork } from "../optim/gradient_groups.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { ParameterState } from "../optim/parameter_state.ts";
import type { Exchange } from "./exchange.ts";

/** Gathers layers as the passes of a micro-batch come to them; at its turn the last one is there. */
export function gathering(optimizer: Optimizer, { shares }: Exchange): Llama["gather"] {
  let there: number | undefined;
  return (pass, layer) => {
    // Its exchanges come before this one on all ranks.
    optimizer.leaveGroup();
    if (layer === there) return;
    there = layer;
    pass.submit();
    pass.gpu.pause(() => shares!.gather(layer));
  };
}

/** Exchanges gradients of a group once the backward pass has left it, and applies them. */
export function groupWork(
  pass: KernelPass,
  optimizer: Optimizer,
  exchange: Exchange | undefined,
): GroupWork {
  const { gpu } = pass, leads = exchange?.ranks.rank === 0;
  const pause = (wait: (exchange: Exchange) => Promise<void>) => {
    pass.submit();
    if (exchange) gpu.pause(() => wait(exchange));
  };
  const share = (group: readonly ParameterState[]) => {
    const refresh = optimizer.isFirst ? optimizer.refreshes.of(group) : undefined;
    if (refresh) pause((exchange) => exchange.share(refresh));
  };
  return {
    begins(group) {
      // Rank 0 refreshes as its gradients come, and the others project theirs after it.
      if (!leads) share(group);
    },
    ends(group) {
      if (leads) share(group);
      if (!optimizer.goesByGroups) return;
      pause(({ shares }) => shares!.sum(group));
      optimizer.applyAll(pass, group);
      pause(({ shares }) => shares!.give(group));
      optimizer.addGiven(pass, group);
    },
  };
}
