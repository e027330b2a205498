/** What the runs of each method are made of: read once, for plans, measurements and marks. */
import { join } from "../packages/std_path.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { FinetuneOptions } from "../train/finetune_options.ts";
import { finetuneRecipe } from "../train/finetune_recipe.ts";
import type { PretrainOptions } from "../train/options.ts";
import { type MemoryPlan, planMemory } from "../train/plan.ts";
import { pretrainRecipe } from "../train/pretrain_recipe.ts";
import type { Recipe } from "../train/recipe.ts";
import { type ComparedMethod, runOptions } from "./methods.ts";
import type { ComparedKind, CompareOptions } from "./options.ts";

/** A method's runs, as planned. */
export interface PlannedMethod {
  readonly recipe: Recipe;
  readonly plan: MemoryPlan;
}

/** The plans of methods, by their names. */
export class Recipes {
  readonly #known = new Map<string, PlannedMethod>();

  constructor(
    private readonly gpu: Gpu,
    private readonly kind: ComparedKind,
    private readonly options: Pick<CompareOptions, "seeds" | "output">,
  ) {}

  /** The seed changes nothing in it. */
  async of(method: ComparedMethod): Promise<PlannedMethod> {
    const known = this.#known.get(method.name);
    if (known) return known;
    const { seeds: [seed], output } = this.options;
    const options = runOptions(this.kind, method, { seed, output: join(output, "none") });
    const recipe = this.kind === "pretrain"
      ? await pretrainRecipe(options as unknown as PretrainOptions)
      : await finetuneRecipe(options as unknown as FinetuneOptions);
    const { config, shape, objective } = recipe;
    const plan = planMemory(config, shape, this.gpu.capabilities, objective);
    const made = { recipe, plan };
    this.#known.set(method.name, made);
    return made;
  }
}
