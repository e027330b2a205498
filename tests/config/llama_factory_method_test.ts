/** Keys of a method that is not AdamW and has no switch: such as Lion, here a row for the test. */
import { assertEquals } from "@std/assert";
import { readMethod } from "../../src/config/llama_factory/method.ts";
import { READ } from "../../src/config/llama_factory/values.ts";
import { type Method, METHOD_NAMES, METHODS } from "../../src/train/methods.ts";

const rows = METHODS as Record<string, Method>, names: string[] = METHOD_NAMES;

/** What keys mean with a row `lion` in the table. */
function meaning(keys: Record<string, unknown>) {
  rows.lion = {
    ...METHODS.adamw,
    rules: { matrices: "muon", embeddings: "adam", others: "adam" },
    optim: ["lion_32bit"],
  };
  names.push("lion");
  try {
    const read = readMethod({
      get: (key) => keys[key],
      line: (key) => key,
      has: () => true,
    });
    const meanings = [...read.values()];
    const [fault] = meanings.flatMap(({ fault }) => fault ? [fault.message] : []);
    return (fault ?? meanings[0].options) as unknown;
  } finally {
    names.pop();
    delete rows.lion;
  }
}

Deno.test("a name in optim that one method has selects it, never an AdamW of the same width", () => {
  assertEquals(meaning({ finetuning_type: "full", optim: "lion_32bit" }), { optimizer: "lion" });
  assertEquals(meaning({ finetuning_type: "full", optim: "adamw_torch" }), { optimizer: "adamw" });
  assertEquals(meaning({ optimizer: "lion", optim: "lion_32bit" }), {});
});

Deno.test("a name in optim that is not AdamW's goes with no other method", () => {
  const refused: [Record<string, unknown>, string][] = [
    [{ use_galore: true, optim: "lion_32bit" }, "lion_32bit disagrees with use_galore: true"],
    [{ optimizer: "adamw", optim: "lion_32bit" }, "lion_32bit disagrees with optimizer: adamw"],
    [{ optimizer: "lion", optim: "adamw_torch" }, "adamw_torch disagrees with optimizer: lion"],
    [
      { finetuning_type: "lora", optim: "lion_32bit" },
      "lion_32bit is not supported for adapters: their moments are float32, adamw_torch",
    ],
  ];
  for (const [keys, message] of refused) assertEquals(meaning(keys), message);
});

Deno.test("keys of APOLLO that it does not have, or that do not go together", () => {
  const apollo = { finetuning_type: "full", use_apollo: true };
  const refused: [Record<string, unknown>, string][] = [
    [{ ...apollo, apollo_scale_type: "row" }, "must be channel or tensor, got row"],
    [{ finetuning_type: "full", apollo_scale_type: "tensor" }, "needs use_apollo: true"],
    [
      { ...apollo, optimizer: "apollo", apollo_scale_type: "tensor" },
      "tensor disagrees with optimizer: apollo",
    ],
    [
      { ...apollo, optim: "adamw_8bit" },
      "adamw_8bit is not supported with use_apollo: true: moments are float32, adamw_torch, " +
      "or 8-bit beside INT8 weights, optimizer: q_apollo or q_apollo_mini",
    ],
    [{ ...apollo, use_galore: true }, "true disagrees with use_galore: true"],
    [
      { finetuning_type: "full", optim: "apollo_adamw", optim_args: "scale_type=row" },
      "optim_args: scale_type must be channel or tensor, got row",
    ],
  ];
  for (const [keys, message] of refused) assertEquals(meaning(keys), message);
});

Deno.test("optim_args: scale_type decides which of APOLLO's methods apollo_adamw means, beside optimizer too", () => {
  const optim = "apollo_adamw", tensor = { optim_args: "rank=1,scale=128,scale_type=tensor" };
  const accepted: [Record<string, unknown>, unknown][] = [
    [{ optim, finetuning_type: "full" }, { optimizer: "apollo" }],
    [{ optim, finetuning_type: "full", ...tensor }, { optimizer: "apollo_mini" }],
    [{ optimizer: "apollo", optim }, {}],
    [{ optimizer: "apollo", optim, optim_args: "scale_type=channel" }, {}],
    [{ optimizer: "q_apollo", optim }, {}],
    [{ optimizer: "apollo_mini", optim, ...tensor }, {}],
    [{ optimizer: "q_apollo_mini", optim, ...tensor }, {}],
    [{ optimizer: "apollo_mini", optim, use_apollo: true, apollo_scale_type: "tensor" }, {}],
  ];
  for (const [keys, expected] of accepted) assertEquals(meaning(keys), expected);
  const wanted = (own: string, type: string, got: string) =>
    `needs optim_args: scale_type=${type} with optimizer: ${own}, got ${got}`;
  const refused: [Record<string, unknown>, string][] = [
    [{ optimizer: "apollo", optim, ...tensor }, wanted("apollo", "channel", "tensor")],
    [{ optimizer: "q_apollo", optim, ...tensor }, wanted("q_apollo", "channel", "tensor")],
    [{ optimizer: "apollo_mini", optim }, wanted("apollo_mini", "tensor", "channel")],
    [{ optimizer: "q_apollo_mini", optim }, wanted("q_apollo_mini", "tensor", "channel")],
    [{ optimizer: "adamw", optim, ...tensor }, "apollo_adamw disagrees with optimizer: adamw"],
    [
      { optimizer: "q_apollo", optim: "galore_adamw" },
      "galore_adamw disagrees with optimizer: q_apollo",
    ],
    [
      { optimizer: "galore_adamw", optim: "galore_adamw_8bit" },
      "galore_adamw_8bit disagrees with optimizer: galore_adamw",
    ],
    [
      { finetuning_type: "full", use_apollo: true, optim, apollo_scale_type: "channel", ...tensor },
      "channel disagrees with optim_args: scale_type=tensor",
    ],
  ];
  for (const [keys, message] of refused) assertEquals(meaning(keys), message);
});

Deno.test("optim_args has the names of its family", () => {
  const read = (optim: string, args: string) =>
    READ.optim_args(args, {
      get: (key) => key === "optim" ? optim : undefined,
      line: (key) => key,
      has: () => true,
    });
  assertEquals(read("apollo_adamw", "proj=random,proj_type=std,rank=4").options, { rank: 4 });
  assertEquals(read("galore_adamw", "proj_type=std,scale=2").options, { galoreScale: 2 });
  for (const name of ["proj=random", "scale_type=tensor"]) {
    const message = `has no ${name.split("=")[0]} here, with optim: galore_adamw`;
    assertEquals(read("galore_adamw", name).fault?.message, message);
  }
});
