/**
 * A saved LoRA adapter. Its tensors say what is adapted; the configuration beside them says by how
 * much: patterns of targets, layers and exclusions were for its training.
 */
import { basename, join } from "../../packages/std_path.ts";
import { UserError } from "../../options/user_error.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import { packTensor } from "../../numbers/plain.ts";
import {
  type LoraModules,
  loraOf,
  type LoraVariant,
  type ModuleLora,
  variantOf,
} from "../../model/lora_shape.ts";
import {
  ADAPTER_PREFIX,
  type LlamaParameters,
  MAGNITUDE,
  type Parameter,
  VOCABULARY_MODULES,
} from "../../model/parameters.ts";
import { isIntegerType } from "../element_types.ts";
import { finiteWeights } from "../finite_weights.ts";
import { Safetensors } from "../safetensors.ts";
import { listFaults } from "../tensor_faults.ts";
import type { WeightFile } from "../weight_file.ts";
import { isThere } from "../../files/stat.ts";
import { isCheckpoint, openCheckpoint } from "../checkpoint/contents.ts";
import { adapterWeights } from "../checkpoint/weights.ts";
import { ADAPTER_CONFIG, type AdapterConfig, readAdapterConfig } from "./config.ts";
import { ADAPTER_WEIGHTS, BASE_MARK, fileShape, isTransposed, transposed } from "./layout.ts";
import { parseAdapterName } from "./names.ts";

/** Rows of a matrix, by the tensor that holds them. */
export interface SavedRows {
  /** Name in the file. */
  readonly tensor: string;
  /** Which rows of the parameter, in the tensor's order. */
  readonly rows: readonly number[];
}

/** An opened adapter, of which only configuration and header have been read. */
export class PeftAdapter {
  private constructor(
    readonly folder: string,
    readonly config: AdapterConfig,
    /** The adapted modules. */
    readonly lora: LoraModules,
    /** Parameters that replace the base's: their tensors in the file. */
    readonly wholes: ReadonlyMap<string, string>,
    /** Parameters of which some rows are replaced. */
    readonly rows: ReadonlyMap<string, SavedRows>,
    /** Factors by the names of parameters: their tensors in the file. */
    private readonly factors: ReadonlyMap<string, string>,
    /** Refuses values that are not finite as they are read. */
    readonly file: WeightFile,
    /** What the base's weights were, where that is known: see weights_mark.ts. */
    readonly baseMark?: string,
  ) {}

  /**
   * Opens an adapter as peft saves one, or a checkpoint of adapters. Throws a {@link UserError} that
   * lists all faults.
   */
  static async open(folder: string): Promise<PeftAdapter> {
    const { config, file, baseMark } = await openFolder(folder);
    try {
      return new PeftAdapter(folder, config, ...contentOf(file, config), file, baseMark);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Throws a {@link UserError} if it adapts modules that the model does not have, or other shapes. */
  assertFits({ all }: Pick<LlamaParameters, "all">): void {
    const adapters = new Map(
      all.filter(({ kind }) => kind === "adapter").map((each) => [each.name, each]),
    );
    const faults = [...this.factors].flatMap(([name, tensor]) => {
      const parameter = adapters.get(name);
      if (!parameter) return [`${tensor} belongs to no module of the model`];
      const expected = fileShape(parameter), { shape } = this.file.tensors.get(tensor)!;
      return String(expected) === String(shape)
        ? []
        : [`${tensor} must be [${expected.join(", ")}], is [${shape.join(", ")}]`];
    });
    if (faults.length) throw this.misfit(faults);
  }

  /** An error that lists what does not fit the model. */
  misfit(faults: readonly string[]): UserError {
    return new UserError(
      listFaults(`${this.file.path}: does not fit the model:`, faults),
      `is ${basename(this.folder)} an adapter of this model?`,
    );
  }

  /** The values of a factor, in the shape of its parameter. */
  async readFactor(parameter: Parameter): Promise<Float32Array<ArrayBuffer>> {
    const values = await this.file.readFloat32(this.factors.get(parameter.name)!);
    return isTransposed(parameter) ? transposed(values, parameter.shape[1]) : values;
  }

  /** Loads all factors into parameters created with {@link PeftAdapter.lora}. */
  async load(gpu: Gpu, { all }: Pick<LlamaParameters, "all">): Promise<void> {
    for (const parameter of all) {
      if (parameter.kind !== "adapter") continue;
      const { weight } = parameter;
      gpu.write(weight, packTensor(weight, await this.readFactor(parameter)));
    }
    await gpu.check();
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.file.close();
  }
}

async function openFolder(
  folder: string,
): Promise<Pick<PeftAdapter, "config" | "file" | "baseMark">> {
  const described = await isThere(join(folder, ADAPTER_CONFIG));
  if (!await isCheckpoint(folder)) {
    const config = await readAdapterConfig(folder);
    const weights = await openWeights(folder);
    return { config, file: finiteWeights(weights), baseMark: weights.metadata[BASE_MARK] };
  }
  const contents = await openCheckpoint(folder), { lora, parameters, base } = contents;
  if (!lora || contents.result === "model") {
    contents[Symbol.dispose]();
    throw new UserError(`${folder}: is a checkpoint of a model, not of an adapter`);
  }
  const config = described ? await readAdapterConfig(folder) : {
    base,
    sizeOf: (module: string) => loraOf(lora, module)!,
    variant: variantOf(lora),
    modulesToSave: parameters.embedding.trainable ? ["embed_tokens", "lm_head"] : [],
    tokens: new Map(),
  };
  const { baseMark } = contents;
  return { config, file: finiteWeights(adapterWeights(contents)), baseMark };
}

async function openWeights(folder: string): Promise<Safetensors> {
  const path = join(folder, ADAPTER_WEIGHTS);
  if (!await isThere(path) && await isThere(join(folder, "adapter_model.bin"))) {
    throw new UserError(
      `${folder}: holds adapter_model.bin, a pickle, and no ${ADAPTER_WEIGHTS}`,
      "peft writes the other one: PeftModel.from_pretrained(base, folder).save_pretrained(folder)",
    );
  }
  return await Safetensors.open(path);
}

type Content = [
  lora: LoraModules,
  wholes: Map<string, string>,
  rows: Map<string, SavedRows>,
  factors: Map<string, string>,
];

/** What the tensors are, checked against each other and the configuration. */
function contentOf(file: WeightFile, config: AdapterConfig): Content {
  const wholes = new Map<string, string>(), rows = new Map<string, SavedRows>();
  const factors = new Map<string, string>(), modules = new Map<string, ModuleLora>();
  const faults: string[] = [];
  for (const { name, shape, dtype } of file.tensors.values()) {
    const parsed = parseAdapterName(name);
    if (!parsed) {
      faults.push(`${name} belongs to no module that can be adapted, or to a variant of LoRA`);
    } else if (isIntegerType(dtype)) {
      faults.push(`${name} must be of floating point, is ${dtype}`);
    } else if (parsed.kind === "whole") {
      wholes.set(parsed.parameter, name);
    } else if (parsed.kind === "rows") {
      const ids = [...config.tokens].find(([module]) => endsWith(parsed.module, module))?.[1] ?? [];
      if (ids.length === shape[0]) rows.set(`${parsed.module}.weight`, { tensor: name, rows: ids });
      else faults.push(`${name} has ${shape[0]} rows, trainable_token_indices ${ids.length}`);
    } else {
      const { module, factor } = parsed, size = config.sizeOf(module);
      const rank = factor === MAGNITUDE ? size.rank : shape[factor.includes("_A") ? 0 : 1];
      if (rank !== size.rank) {
        faults.push(`${name} has rank ${rank}, ${module} has ${size.rank} by r and rank_pattern`);
      }
      modules.set(module, size);
      factors.set(`${ADAPTER_PREFIX}${module}.${factor}`, name);
    }
  }
  for (const name of factors.keys()) {
    const other = name.replace(/_([AB])(?=\.weight$|$)/, (_, which) => which === "A" ? "_B" : "_A");
    if (!factors.has(other)) faults.push(`${other} is missing`);
  }
  faults.push(...magnitudeFaults([...modules.keys()], factors, config.variant));
  if (faults.length) throw new UserError(listFaults(`${file.path}:`, faults));
  return [{ modules: Object.fromEntries(modules), ...config.variant }, wholes, rows, factors];
}

/** With `use_dora` each adapted module has its lengths, and without it none. */
function magnitudeFaults(
  modules: readonly string[],
  factors: ReadonlyMap<string, string>,
  { dora }: LoraVariant,
): string[] {
  return modules.flatMap((module) => {
    const name = `${ADAPTER_PREFIX}${module}.${MAGNITUDE}`, tensor = factors.get(name);
    if (tensor && !dora) return [`${tensor} is DoRA's, which use_dora switches off`];
    if (dora && VOCABULARY_MODULES.some((each) => each === module)) {
      return [`use_dora is supported on projections, and ${module} is adapted as well`];
    }
    return dora && !tensor ? [`${name} is missing, which use_dora needs`] : [];
  });
}

/** Whether a module's full name is, or ends with, a name given in a configuration. */
export function endsWith(module: string, name: string): boolean {
  return module === name || module.endsWith(`.${name}`);
}
