import { assertEquals } from "@std/assert";
import { parameterRate } from "../../src/optim/adapter_rates.ts";
import { RATES } from "./support_rates.ts";

Deno.test("at a rate of zero every adapter's is zero, with a peak and without", () => {
  const rates = { ...RATES, loraplusLrRatio: 16 };
  for (const peak of [undefined, 0, 1e-3]) {
    for (const name of ["q.lora_A.weight", "q.lora_B.weight", "embed.lora_embedding_A"]) {
      assertEquals(parameterRate({ kind: "adapter", name }, { lr: 0, peak, rates }), 0);
    }
  }
});
