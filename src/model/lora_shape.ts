/** Which modules get an adapter, of which size and kind. */
import type { LoraTarget } from "./description.ts";

/** Size of a module's adapter, under peft's names. */
export interface ModuleLora {
  /** Rank, r. */
  readonly rank: number;
  /** α: an update is scaled by α/r, or α/√r. */
  readonly alpha: number;
}

/** What all adapters of a model have in common. */
export interface LoraVariant {
  /** rsLoRA (Kalajdzievski 2023, arXiv 2312.03732): updates are scaled by α/√r instead of α/r. */
  readonly rankStabilised?: boolean;
  /** DoRA (Liu et al. 2024, arXiv 2402.09353): each row of an adapted projection has a length of its own. */
  readonly dora?: boolean;
  /**
   * Adapters are merged into their matrices, and the result is a whole model: the frozen matrices are
   * nobody else's. Ranks are at most the sides of a matrix.
   */
  readonly merged?: boolean;
  /**
   * With `merged`: there is no matrix beside the factors, W = s · B·A (Kamalakara et al. 2022, arXiv
   * 2209.13569).
   */
  readonly alone?: boolean;
}

/** What a run with such adapters, or none, makes. */
export function resultOf(lora: LoraVariant | undefined): "adapter" | "model" {
  return lora && !lora.merged ? "adapter" : "model";
}

/** Adapters of one size on the same modules of every layer. */
export interface UniformLora extends ModuleLora, LoraVariant {
  /** Modules that get an adapter. */
  readonly targets: readonly LoraTarget[];
}

/** Adapters module by module, as a saved one has them. */
export interface LoraModules extends LoraVariant {
  /** By the module's full name, such as `model.layers.0.self_attn.q_proj`. */
  readonly modules: Readonly<Record<string, ModuleLora>>;
}

/** Which modules get an adapter, and of which size. */
export type LoraShape = UniformLora | LoraModules;

/** Size of the adapter on a module, if it has one. */
export function loraOf(shape: LoraShape, module: string): ModuleLora | undefined {
  if ("modules" in shape) return shape.modules[module];
  const name = module.split(".").at(-1);
  return shape.targets.some((target) => target === name) ? shape : undefined;
}

/** The variant that an adapter's file is of; what is off is absent. */
export function variantOf({ rankStabilised, dora }: LoraVariant): LoraVariant {
  return { ...(rankStabilised && { rankStabilised }), ...(dora && { dora }) };
}

/** The factor of an adapter's update: α/r, or α/√r; α where there is no matrix to update. */
export function loraScale(
  { rank, alpha }: ModuleLora,
  { rankStabilised, alone }: LoraVariant,
): number {
  if (alone) return alpha;
  return alpha / (rankStabilised ? Math.sqrt(rank) : rank);
}
