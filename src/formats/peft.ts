/** LoRA adapters as peft's folders: adapter_config.json and adapter_model.safetensors. */
import { basename, join } from "@std/path";
import { UserError } from "../options/user_error.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { packTensor, unpackTensor } from "../numbers/plain.ts";
import { PROJECTIONS } from "../model/description.ts";
import type { LlamaParameters, LoraShape } from "../model/parameters.ts";
import { writeJson } from "../files/atomic.ts";
import { Fields, isObject } from "../files/fields.ts";
import { Safetensors, writeSafetensors } from "./safetensors.ts";
import { listFaults, parameterFaults, unexpectedTensors } from "./tensor_faults.ts";

const CONFIG = "adapter_config.json", WEIGHTS = "adapter_model.safetensors";

export interface AdapterOptions {
  readonly loraRank: number;
  readonly loraAlpha: number;
  readonly loraDropout: number;
  /** Path of the adapters' base model. */
  readonly base: string;
}

/** Writes the adapters so that `peft.PeftModel.from_pretrained(base, folder)` loads them. */
export async function saveAdapter(
  gpu: Gpu,
  parameters: LlamaParameters,
  folder: string,
  { loraRank, loraAlpha, loraDropout, base }: AdapterOptions,
): Promise<void> {
  const adapters = parameters.all.filter(({ kind }) => kind === "adapter");
  const targets = PROJECTIONS.filter((name) =>
    adapters.some((parameter) => parameter.name.includes(`.${name}.`))
  );
  await writeSafetensors(
    join(folder, WEIGHTS),
    adapters.map(({ name, shape, weight }) => ({
      name,
      shape,
      dtype: "F32" as const,
      data: (async function* () {
        yield new Uint8Array(unpackTensor(weight, await gpu.read(weight)).buffer);
      })(),
    })),
    { format: "pt" },
  );
  await writeJson(join(folder, CONFIG), {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: base,
    r: loraRank,
    lora_alpha: loraAlpha,
    lora_dropout: loraDropout,
    target_modules: targets,
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    modules_to_save: null,
    use_dora: false,
    use_rslora: false,
    rank_pattern: {},
    alpha_pattern: {},
  });
}

/** The shape of a saved adapter; unsupported features are refused by name. */
export async function readAdapterConfig(folder: string): Promise<LoraShape & { base?: string }> {
  const path = join(folder, CONFIG);
  let json: unknown;
  try {
    json = JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    throw new UserError(
      `${path}: cannot be read: ${(error as Error).message}`,
      "an adapter is a folder with adapter_config.json and adapter_model.safetensors",
    );
  }
  if (!isObject(json)) throw new UserError(`${path}: must be a JSON object`);
  const fields = new Fields(json);
  refuseUnsupported(fields);
  const rank = fields.count("r");
  const given = fields.positive("lora_alpha", 8); // peft's default
  // rsLoRA (Kalajdzievski 2023) divides by √r.
  const alpha = fields.flag("use_rslora", false) ? given * Math.sqrt(rank) : given;
  const targets = targetsOf(fields);
  fields.finish(path);
  const base = json.base_model_name_or_path;
  return { rank, alpha, targets, base: typeof base === "string" ? base : undefined };
}

/** Reads a saved adapter into parameters created with its shape. */
export async function loadAdapter(
  gpu: Gpu,
  parameters: LlamaParameters,
  folder: string,
): Promise<void> {
  using file = await openAdapter(parameters, folder);
  for (const { kind, name, weight } of parameters.all) {
    if (kind !== "adapter") continue;
    gpu.write(weight, packTensor(weight, await file.readFloat32(name)));
  }
  await gpu.check();
}

/** Opens an adapter's file; throws a {@link UserError} if it does not fit these parameters. */
export async function openAdapter(
  { all }: Pick<LlamaParameters, "all">,
  folder: string,
): Promise<Safetensors> {
  const file = await Safetensors.open(join(folder, WEIGHTS));
  const adapters = all.filter(({ kind }) => kind === "adapter");
  const faults = [
    ...unexpectedTensors(file, adapters).map((name) =>
      `${name} belongs to no projection that the adapter targets`
    ),
    ...parameterFaults(file, adapters),
  ];
  if (!faults.length) return file;
  file.close();
  throw new UserError(
    listFaults(`${file.path}: does not fit the model:`, faults),
    `is ${basename(folder)} an adapter of this model?`,
  );
}

/** Initialisations that leave the base unchanged; others subtract the initial B·A from it. */
const HARMLESS: readonly unknown[] = [true, false, "gaussian", "eva", "orthogonal"];

/** Fields of peft that change what the adapter computes; absent, null, false and empty are fine. */
const UNSUPPORTED = [
  "use_dora",
  "use_qalora",
  "use_bdlora",
  "fan_in_fan_out",
  "lora_bias",
  "modules_to_save",
  "rank_pattern",
  "alpha_pattern",
  "layers_to_transform",
  "layer_replication",
  "exclude_modules",
  "trainable_token_indices",
  "target_parameters",
  "alora_invocation_tokens",
  "arrow_config",
  "kasa_config",
  "monteclora_config",
  "velora_config",
];

function refuseUnsupported(fields: Fields): void {
  const { json } = fields;
  const refuse = (name: string, supported: string) =>
    fields.fault(`${name} ${JSON.stringify(json[name])} is not supported (${supported})`);
  if ((json.peft_type ?? "LORA") !== "LORA") refuse("peft_type", "LORA is");
  if ((json.bias ?? "none") !== "none") refuse("bias", "none is");
  if (!HARMLESS.includes(json.init_lora_weights ?? true)) {
    refuse("init_lora_weights", "it changes the base; peft can save such an adapter as plain LoRA");
  }
  for (const name of UNSUPPORTED) {
    const value = json[name] ?? false;
    const empty = typeof value === "object" && Object.keys(value as object).length === 0;
    if (value !== false && !empty) {
      fields.fault(`${name} is not supported, got ${JSON.stringify(value)}`);
    }
  }
}

/**
 * Modules are named by their last component or their full path, which is how peft writes
 * "all-linear". Missing layers are detected when the weights are opened.
 */
function targetsOf(fields: Fields): LoraShape["targets"] {
  const { target_modules: given } = fields.json;
  if (given === "all-linear") return PROJECTIONS;
  const supported = `a list of ${PROJECTIONS.join(", ")}`;
  if (!Array.isArray(given) || given.length === 0) {
    const what = given === undefined || given === null ? "is missing" : "is not supported";
    const got = given === undefined || given === null ? "" : `, got ${JSON.stringify(given)}`;
    fields.fault(`target_modules ${what} (${supported}, or "all-linear", is)${got}`);
    return [];
  }
  const names = given.map((module) => String(module).split(".").at(-1)!);
  const unknown = given.filter((_, i) => !(PROJECTIONS as readonly string[]).includes(names[i]));
  if (unknown.length) {
    fields.fault(`target_modules ${JSON.stringify(unknown)} are not supported (${supported} is)`);
  }
  return PROJECTIONS.filter((name) => names.includes(name));
}
