/**
 * How a run of LLaMA-Factory's trains: there by several keys together, here by `optimizer`, which
 * may stand in the same file if it agrees with them.
 *
 * | finetuning_type | use_galore | optim | quantization_bit | optimizer |
 * | --- | --- | --- | --- | --- |
 * | full | | adamw_torch, or none | | adamw |
 * | full | | adamw_8bit | | adamw8bit |
 * | full | true | adamw_torch, or none | | galore_adamw, or q_galore_adamw8bit as optimizer |
 * | full | true | adamw_8bit | | galore_adamw8bit, or q_galore_adamw8bit as optimizer |
 * | lora | | adamw_torch, or none | | lora |
 * | lora | | adamw_torch, or none | 4 | qlora |
 */
import { isAdapterMethod, isLowRank, type OptimizerName } from "../train/options.ts";
import { fault, type KeyContext, type Meaning, show } from "./llama_factory_values.ts";

/** transformers' names. Paging and fusing change where moments lie, not what they are. */
const OPTIMS: Readonly<Record<string, OptimizerName>> = {
  adamw_torch: "adamw",
  adamw_torch_fused: "adamw",
  adamw_hf: "adamw",
  paged_adamw: "adamw",
  paged_adamw_32bit: "adamw",
  adamw_8bit: "adamw8bit",
  adamw_bnb_8bit: "adamw8bit",
  paged_adamw_8bit: "adamw8bit",
  galore_adamw: "galore_adamw",
  galore_adamw_layerwise: "galore_adamw",
  galore_adamw_8bit: "galore_adamw8bit",
  galore_adamw_8bit_layerwise: "galore_adamw8bit",
};

export const METHOD_KEYS = ["finetuning_type", "use_galore", "optim", "quantization_bit"] as const;
type MethodKey = typeof METHOD_KEYS[number];
type Faults = Partial<Record<MethodKey, Meaning>>;

/** What the keys come to, each fault by its key; the optimizer is under the first that is there. */
export function readMethod(file: KeyContext): Map<string, Meaning> {
  const faults = valueFaults(file);
  const present = METHOD_KEYS.filter((key) => file.get(key) !== undefined);
  if (!present.length) return new Map();
  if (!Object.keys(faults).length) {
    Object.assign(faults, combinationFaults(file));
    const own = file.get("optimizer");
    if (typeof own === "string") Object.assign(faults, disagreements(file, own, faults));
  }
  if (Object.keys(faults).length) return new Map(Object.entries(faults));
  const optimizer = file.get("optimizer") === undefined ? optimizerOf(file) : undefined;
  return new Map([[present[0], {
    options: optimizer ? { optimizer } : {},
    // There, `full` is every weight of the model.
    implied: file.get("finetuning_type") === "full" ? { trainEmbeddings: true } : {},
  }]]);
}

/** Each key by itself. */
function valueFaults(file: KeyContext): Faults {
  const faults: Faults = {};
  const type = file.get("finetuning_type"), galore = file.get("use_galore");
  const optim = file.get("optim"), bits = file.get("quantization_bit");
  if (type !== undefined && type !== "full" && type !== "lora") {
    faults.finetuning_type = fault(`must be full or lora, got ${show(type)}`);
  }
  if (galore !== undefined && typeof galore !== "boolean") {
    faults.use_galore = fault(`must be true or false, got ${show(galore)}`);
  }
  if (optim !== undefined && !Object.hasOwn(OPTIMS, String(optim))) {
    const known = Object.keys(OPTIMS);
    faults.optim = {
      fault: {
        message: `must be one of ${known.join(", ")}, got ${show(optim)}`,
        near: [String(optim), known],
      },
    };
  }
  if (bits !== undefined && bits !== 4) {
    faults.quantization_bit = fault(`must be 4, got ${show(bits)}`);
  }
  return faults;
}

/** Of keys that are right by themselves. */
function combinationFaults(file: KeyContext): Faults {
  const faults: Faults = {};
  const type = file.get("finetuning_type"), galore = file.get("use_galore");
  const optim = optimOf(file), bits = file.get("quantization_bit");
  const against = (value: unknown, key: string) =>
    fault(`${show(value)} disagrees with ${file.line(key)}: ${show(file.get(key))}`);
  if (type === "lora" && galore === true) faults.use_galore = against(galore, "finetuning_type");
  if (type === "full" && bits) faults.quantization_bit = against(bits, "finetuning_type");
  if (type !== "lora" && galore === true && bits) {
    faults.quantization_bit = against(bits, "use_galore");
  }
  if (optim && galore === false && isLowRank(optim)) {
    faults.optim = against(file.get("optim"), "use_galore");
  }
  if (optim && optim !== "adamw" && (type === "lora" || (type === undefined && bits))) {
    faults.optim = fault(
      `${file.get("optim")} is not supported for adapters: their moments are float32, adamw_torch`,
    );
  }
  if (optim === "adamw" || optim === "adamw8bit") {
    const told = type !== undefined || galore === true || bits || file.get("optimizer");
    if (!told) faults.optim = fault("needs finetuning_type beside it: full or lora");
  }
  return faults;
}

function disagreements(file: KeyContext, own: string, known: Faults): Faults {
  const faults: Faults = {};
  const optimizer = own.replace("adamw_8bit", "adamw8bit") as OptimizerName;
  const adapters = isAdapterMethod(optimizer), lowRank = isLowRank(optimizer);
  const optim = optimOf(file);
  const agree: Record<MethodKey, boolean> = {
    finetuning_type: adapters === (file.get("finetuning_type") === "lora"),
    use_galore: lowRank === file.get("use_galore"),
    // A plain AdamW there may be GaLore's by `use_galore`, and Q-GaLore's has 8-bit moments.
    optim: !!optim && optimizer.endsWith("8bit") === optim.endsWith("8bit") &&
      (!isLowRank(optim) || lowRank),
    quantization_bit: optimizer === "qlora",
  };
  for (const key of METHOD_KEYS) {
    if (file.get(key) === undefined || agree[key] || known[key]) continue;
    faults[key] = fault(`${show(file.get(key))} disagrees with ${file.line("optimizer")}: ${own}`);
  }
  return faults;
}

function optimOf(file: KeyContext): OptimizerName | undefined {
  return OPTIMS[String(file.get("optim"))];
}

function optimizerOf(file: KeyContext): OptimizerName | undefined {
  const type = file.get("finetuning_type"), bits = file.get("quantization_bit");
  const optim = optimOf(file);
  if (type === "lora" || (type === undefined && bits)) return bits ? "qlora" : "lora";
  const eight = optim?.endsWith("8bit");
  if (file.get("use_galore") || (optim && isLowRank(optim))) {
    return eight ? "galore_adamw8bit" : "galore_adamw";
  }
  if (type === undefined && !optim) return undefined;
  return eight ? "adamw8bit" : "adamw";
}
