/**
 * The method of a LLaMA-Factory run: several keys together there, `optimizer` here, which may be in
 * the same file if it agrees. A method's row (train/methods.ts) lists its keys; AdamW's names in
 * `optim` give the width of the moments for any method.
 */
import {
  hasNarrowMoments,
  type Method,
  METHOD_NAMES,
  type MethodName,
  methodNamed,
  methodOf,
} from "../../train/methods.ts";
import { fault, type KeyContext, type Meaning, show } from "./meaning.ts";
import { optimArgs } from "./optimizer_values.ts";

/** Keys that select a method when true. */
const SWITCHES = [
  ...new Set(
    METHOD_NAMES.flatMap((name) => {
      const { switch: key } = methodOf(name).llamaFactory;
      return key ? [key] : [];
    }),
  ),
];
export const METHOD_KEYS = [
  "finetuning_type",
  ...SWITCHES,
  "apollo_scale_type",
  "optim",
  "quantization_bit",
] as const;
type MethodKey = typeof METHOD_KEYS[number];
type Faults = Partial<Record<MethodKey, Meaning>>;

/**
 * The meaning of the keys, with faults by key; the optimizer is assigned to the first present key.
 */
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
    // In LLaMA-Factory, `full` trains every weight of the model.
    implied: file.get("finetuning_type") === "full" ? { trainEmbeddings: true } : {},
  }]]);
}

/** Faults of single keys. */
function valueFaults(file: KeyContext): Faults {
  const faults: Faults = {};
  const type = file.get("finetuning_type"), bits = file.get("quantization_bit");
  const optim = file.get("optim");
  if (type !== undefined && type !== "full" && type !== "lora") {
    faults.finetuning_type = fault(`must be full or lora, got ${show(type)}`);
  }
  for (const key of SWITCHES) {
    const value = file.get(key);
    if (value !== undefined && typeof value !== "boolean") {
      faults[key] = fault(`must be true or false, got ${show(value)}`);
    }
  }
  const scaleType = scaleTypeOf(file);
  if (scaleType !== undefined && scaleType !== "channel" && scaleType !== "tensor") {
    const message = `must be channel or tensor, got ${show(scaleType)}`;
    if (file.get("apollo_scale_type") !== undefined) faults.apollo_scale_type = fault(message);
    else faults.optim = fault(`optim_args: scale_type ${message}`);
  }
  const ofArgs = scaleTypeOfArgs(file);
  if (ofArgs !== undefined && scaleType !== ofArgs && !faults.apollo_scale_type) {
    faults.apollo_scale_type = fault(
      `${show(scaleType)} disagrees with ${file.line("optim_args")}: scale_type=${ofArgs}`,
    );
  }
  if (optim !== undefined && !optimOf(file)) {
    const known = METHOD_NAMES.flatMap((name) => methodOf(name).optim);
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

/** Faults of combinations of valid keys. */
function combinationFaults(file: KeyContext): Faults {
  const faults: Faults = {};
  const type = file.get("finetuning_type"), bits = file.get("quantization_bit");
  const optim = optimOf(file), plain = optim && !optim.llamaFactory.switch;
  const [on, ...more] = SWITCHES.filter((key) => file.get(key) === true);
  const against = (key: MethodKey, other: MethodKey) =>
    fault(`${show(file.get(key))} disagrees with ${file.line(other)}: ${show(file.get(other))}`);
  for (const key of more) faults[key] = against(key, on);
  if (type === "lora" && on) faults[on] = against(on, "finetuning_type");
  if (type === "full" && bits) {
    faults.quantization_bit = against("quantization_bit", "finetuning_type");
  }
  if (type !== "lora" && on && bits) faults.quantization_bit = against("quantization_bit", on);
  const own = optim?.llamaFactory.switch;
  if (own && file.get(own) === false) faults.optim = against("optim", own);
  if (optim && on && on !== own && (own || !isAdamW(optim))) faults.optim = against("optim", on);
  if (optim && (type === "lora" || (type === undefined && bits)) && !hasAdaptersMoments(optim)) {
    faults.optim = fault(
      `${file.get("optim")} is not supported for adapters: their moments are float32, adamw_torch`,
    );
  }
  if (file.get("apollo_scale_type") !== undefined && (on ?? own) !== "use_apollo") {
    faults.apollo_scale_type = fault("needs use_apollo: true");
  }
  if (on && !faults.optim && file.get("optimizer") === undefined && !methodsOf(file).length) {
    faults.optim = fault(
      `${file.get("optim")} is not supported with ${file.line(on)}: true: moments are float32, ` +
        "adamw_torch, or 8-bit beside INT8 weights, optimizer: q_apollo or q_apollo_mini",
    );
  }
  if (plain) {
    const named = type !== undefined || on || bits || file.get("optimizer");
    if (!named) faults.optim = fault("also needs finetuning_type: full or lora");
  }
  return faults;
}

/** Adapters have AdamW's float32 moments. */
function hasAdaptersMoments(optim: Method): boolean {
  return !optim.llamaFactory.switch && isAdamW(optim) && !hasNarrowMoments(optim);
}

function disagreements(file: KeyContext, own: string, known: Faults): Faults {
  const faults: Faults = {}, name = methodNamed(own);
  // An unknown name is reported with its own option.
  if (!name) return faults;
  const method = methodOf(name), { switch: onKey } = method.llamaFactory;
  const optim = optimOf(file);
  const agrees = (key: MethodKey): boolean => {
    switch (key) {
      case "finetuning_type":
        return method.llamaFactory.finetuning_type === file.get(key);
      case "optim":
        if (!optim) return false;
        if (optim.llamaFactory.switch) return isOfFamily(method, optim);
        // A plain AdamW in `optim` may be combined with GaLore by `use_galore`.
        if (!isAdamW(optim) || (!onKey && method.trains === "weights")) return method === optim;
        return hasNarrowMoments(method) === hasNarrowMoments(optim);
      case "quantization_bit":
        return method.llamaFactory.quantization_bit === file.get(key);
      case "apollo_scale_type":
        return !!method.apollo && scaleTypeOfRow(method) === scaleTypeOf(file);
      default:
        return (key === onKey) === file.get(key);
    }
  };
  for (const key of METHOD_KEYS) {
    if (file.get(key) === undefined || agrees(key) || known[key]) continue;
    faults[key] = fault(`${show(file.get(key))} disagrees with ${file.line("optimizer")}: ${own}`);
  }
  // `apollo_adamw` names both of APOLLO's granularities: its `optim_args` decide, channel by default.
  const given = scaleTypeOf(file) ?? "channel", wanted = scaleTypeOfRow(method);
  const decides = method.apollo && optim?.apollo && !faults.apollo_scale_type;
  if (decides && given !== wanted && !known.optim && !faults.optim) {
    faults.optim = fault(
      `needs optim_args: scale_type=${wanted} with ${file.line("optimizer")}: ${own}, got ${given}`,
    );
  }
  return faults;
}

/**
 * Whether a method is of the family that a name in `optim` has to itself, with moments of that
 * width, unless the family has a name for one width only.
 */
function isOfFamily(method: Method, optim: Method): boolean {
  const { switch: family } = optim.llamaFactory, width = hasNarrowMoments(method);
  if (method.llamaFactory.switch !== family) return false;
  const named = METHOD_NAMES.map(methodOf).filter((each) =>
    each.llamaFactory.switch === family && each.optim.length > 0
  );
  return width === hasNarrowMoments(optim) ||
    !named.some((each) => hasNarrowMoments(each) === width);
}

/** The method that `optim` alone selects. */
function optimOf(file: KeyContext): Method | undefined {
  const optim = String(file.get("optim"));
  const name = METHOD_NAMES.find((each) => methodOf(each).optim.includes(optim));
  return name && methodOf(name);
}

function optimizerOf(file: KeyContext): MethodName | undefined {
  const fitting = methodsOf(file), optim = optimOf(file);
  return fitting.find((name) => methodOf(name) === optim) ?? fitting[0];
}

/** The methods that the keys together may mean. */
function methodsOf(file: KeyContext): MethodName[] {
  const type = file.get("finetuning_type"), bits = file.get("quantization_bit");
  const optim = optimOf(file);
  const on = SWITCHES.find((key) => file.get(key) === true) ?? optim?.llamaFactory.switch;
  if (type === undefined && !bits && !on && !optim) return [];
  const wanted = type ?? (bits ? "lora" : "full");
  const scaleType = scaleTypeOf(file) === "tensor" ? "tensor" : undefined;
  return METHOD_NAMES.filter((name) => {
    const method = methodOf(name), keys = method.llamaFactory;
    return !keys.byOwnName && keys.finetuning_type === wanted && keys.switch === on &&
      keys.scaleType === scaleType && keys.quantization_bit === bits &&
      hasNarrowMoments(method) === narrow(optim);
  });
}

/** What APOLLO scales: LLaMA-Factory's key, or that of transformers' `optim_args`. */
function scaleTypeOf(file: KeyContext): unknown {
  return file.get("apollo_scale_type") ?? scaleTypeOfArgs(file);
}

function scaleTypeOfArgs(file: KeyContext): string | undefined {
  return optimArgs(file.get("optim_args")).scale_type;
}

/** As LLaMA-Factory and transformers name it. */
function scaleTypeOfRow({ llamaFactory }: Method): "channel" | "tensor" {
  return llamaFactory.scaleType ?? "channel";
}

/** AdamW's names also stand beside another method's keys, where they give the moments' width. */
function isAdamW({ rules }: Method): boolean {
  return Object.values(rules).every((rule) => rule === "adam" || rule === "adam8bit");
}

function narrow(optim: Method | undefined): boolean {
  return !!optim && hasNarrowMoments(optim);
}
