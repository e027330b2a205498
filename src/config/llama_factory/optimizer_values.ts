/** Keys of optimizers: what they project or scale, and transformers' `optim_args`. */
import { LAYER_MODULES, PROJECTION_PARTS } from "../../model/description.ts";
import { fault, listOf, type Reader, show } from "./meaning.ts";

export const OPTIMIZERS: Readonly<Record<string, Reader>> = {
  galore_target: (value) =>
    isEveryProjection(value)
      ? {}
      : fault(`must be all: GaLore projects every linear layer, got ${show(value)}`),
  apollo_target: (value) =>
    isEveryProjection(value)
      ? {}
      : fault(`must be all: APOLLO scales every linear layer, got ${show(value)}`),
  optim_args: (value, file) => {
    const optim = String(file.get("optim")), [, family] = optim.match(/^(galore|apollo)_/) ?? [];
    if (!family) return fault("needs optim: apollo_adamw, or one of galore's");
    const options: Record<string, unknown> = {};
    for (const [name, given] of Object.entries(optimArgs(value))) {
      const fixed = OPTIM_ARGS_ONLY[family][name];
      if (name === "scale") options[`${family}Scale`] = Number(given);
      else if (name === "rank") options.rank = Number(given);
      else if (name === "update_proj_gap") options.updateProjGap = Number(given);
      else if (name === "scale_type" && family === "apollo") continue; // names the method
      else if (!fixed) return fault(`has no ${name} here, with ${file.line("optim")}: ${optim}`);
      else if (fixed !== given) return fault(`must have ${name}=${fixed}, got ${given}`);
    }
    return { options };
  },
};

/** The only supported values of some of transformers' `optim_args`, by family. */
const OPTIM_ARGS_ONLY: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  galore: { proj_type: "std" },
  apollo: { proj: "random", proj_type: "std" },
};

/** transformers' `optim_args`: `rank=1,scale=128`. */
export function optimArgs(value: unknown): Record<string, string> {
  const pairs = typeof value === "string" ? value.split(",") : [];
  return Object.fromEntries(pairs.map((pair) => {
    const [name, ...rest] = pair.split("=");
    return [name.trim(), rest.join("=").trim()];
  }));
}

/** Whether it is `all` or a list of name parts that covers every projection. */
function isEveryProjection(value: unknown): boolean {
  const given = listOf(value);
  return given.includes("all") ||
    PROJECTION_PARTS.every((part) =>
      LAYER_MODULES[part].split(".").some((name) => given.includes(name))
    );
}
