/**
 * Tensors under other names than transformers': wrappers leave their mark in the names of a model
 * that was saved inside them, and a base model's checkpoint has no `model.` in front.
 */
import { UserError } from "../options/user_error.ts";
import type { WeightFile, WeightInfo } from "./weight_file.ts";

/** torch.compile, FSDP and activation checkpointing wrap any module. */
const WRAPPERS = /(^|\.)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)(?=\.)/g;
/** DataParallel, and peft around a whole model, wrap the outermost. */
const OUTER = /^(?:module\.)?(?:base_model\.model\.)?/;

/** A tensor's name in a checkpoint of transformers' causal language model. */
export function causalName(name: string): string {
  const plain = name.replace(WRAPPERS, "").replace(/^\./, "").replace(OUTER, "")
    .replace(/^model\.(?=model\.|lm_head\.)/, "");
  return /^(embed_tokens|layers|norm)\./.test(plain) ? `model.${plain}` : plain;
}

/** The file with the names of {@link causalName}; the same file if they are its own. */
export function withCausalNames(file: WeightFile): WeightFile {
  const own = new Map<string, string>();
  for (const name of file.tensors.keys()) {
    const causal = causalName(name), other = own.get(causal);
    if (other !== undefined) {
      throw new UserError(
        `${file.path}: tensors ${other} and ${name} are both ${causal}`,
        "are these the weights of two models?",
      );
    }
    own.set(causal, name);
  }
  return [...own].every(([name, before]) => name === before) ? file : renamed(file, own);
}

/** A file whose tensors are known by the keys of `names`; the values are its own names for them. */
export function renamed(file: WeightFile, names: ReadonlyMap<string, string>): WeightFile {
  const tensors = new Map<string, WeightInfo>();
  for (const [name, own] of names) tensors.set(name, { ...file.tensors.get(own)!, name });
  return {
    path: file.path,
    tensors,
    readFloat32: (name, start, count) => file.readFloat32(names.get(name) ?? name, start, count),
    close: () => file.close(),
    [Symbol.dispose]: () => file.close(),
  };
}
