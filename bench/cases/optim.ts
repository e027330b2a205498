/** What turns a gradient into new weights, at the size of a gate projection. */
import { adam } from "../../src/kernels/adam.ts";
import { adam8bit, adamBlocks } from "../../src/kernels/adam_8bit.ts";
import { applyUpdate } from "../../src/kernels/apply_update.ts";
import { groupDequantize } from "../../src/kernels/group_dequantize.ts";
import { groupQuantize } from "../../src/kernels/group_quantize.ts";
import { randomNormal } from "../../src/kernels/random_normal.ts";
import { type BenchCase, bytesIn, type Sizes } from "../case.ts";

const RATES = { step: 10, lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 };

export function optimCases({ C, F, R }: Sizes): BenchCase[] {
  const shape = `(${F}, ${C})`;
  return [
    ...(["int8", "int4"] as const).flatMap((dtype): BenchCase[] => [
      {
        name: `group_quantize ${dtype}`,
        shape,
        prepare(bench) {
          const source = bench.tensor("source", [F, C]);
          const target = bench.tensor("target", [F, C], dtype);
          return {
            record: (pass) => groupQuantize(pass, { source, target }),
            bytes: bytesIn(source, target),
          };
        },
      },
      {
        name: `group_dequantize ${dtype}`,
        shape,
        prepare(bench) {
          const source = bench.tensor("source", [F, C], dtype);
          const target = bench.tensor("target", [F, C]);
          return {
            record: (pass) => groupDequantize(pass, { source, target }),
            bytes: bytesIn(source, target),
          };
        },
      },
    ]),
    ...(["int8", "bfloat16"] as const).map((dtype): BenchCase => ({
      name: `apply_update ${dtype} stochastic`,
      shape,
      prepare(bench) {
        const weight = bench.tensor("weight", [F, C], dtype);
        const update = bench.tensor("update", [F, C]);
        const rounding = { seed: 1, step: 2, tensor: 3 };
        return {
          record: (pass) => applyUpdate(pass, { weight, update, decay: 0.999, rounding }),
          bytes: bytesIn(weight, weight, update),
        };
      },
    })),
    {
      name: "adam",
      shape: `(${F}, ${R})`,
      prepare(bench) {
        const [gradient, m, v] = ["g", "m", "v"].map((name) => bench.tensor(name, [F, R]));
        return {
          record: (pass) => adam(pass, { gradient, m, v, ...RATES }),
          bytes: 2 * bytesIn(gradient, m, v),
        };
      },
    },
    {
      name: "adam_8bit",
      shape: `(${F}, ${R})`,
      prepare(bench) {
        const gradient = bench.tensor("g", [F, R]);
        const m = bench.tensor("m", [F, R], "uint8"), v = bench.tensor("v", [F, R], "uint8");
        const blocks = [adamBlocks(gradient)];
        const absmaxM = bench.tensor("absmax m", blocks);
        const absmaxV = bench.tensor("absmax v", blocks);
        return {
          record: (pass) => adam8bit(pass, { gradient, m, v, absmaxM, absmaxV, ...RATES }),
          bytes: 2 * bytesIn(gradient, m, v, absmaxM, absmaxV),
        };
      },
    },
    {
      name: "random_normal",
      shape,
      prepare(bench) {
        const target = bench.tensor("target", [F, C]);
        return {
          record: (pass) => randomNormal(pass, { target, std: 1, seed: 1, tensor: 2 }),
          bytes: bytesIn(target),
        };
      },
    },
  ];
}
