/** The names of tensors in adapter files, of any version of peft and of programs built on it. */

import { MAGNITUDE } from "../../model/parameters.ts";

/** What a tensor of an adapter is. */
export type AdapterTensor =
  /** A factor of a low-rank update, or DoRA's lengths, by its name in peft's files: `lora_A.weight`. */
  | { readonly kind: "factor"; readonly module: string; readonly factor: string }
  /** A parameter that replaces the base's of this name. */
  | { readonly kind: "whole"; readonly parameter: string }
  /** Rows of an embedding that replace the base's. */
  | { readonly kind: "rows"; readonly module: string };

/** Where a module's name begins: what stands before it differs between programs and wrappers. */
const MODULE = /(?:^|\.)((?:model\.(?:layers\.\d+\.|embed_tokens\b|norm\b)|lm_head\b).*)$/;

/** Wrappers of peft within a name. A module kept beside its trained copy is not part of it. */
const WRAPPERS = /\.(?:base_layer|modules_to_save(?:\.default)?)(?=\.)/g;

const FACTOR = /^(.+)\.(lora_embedding_[AB]|lora_[AB])(?:\.default)?(\.weight)?$/;
const LENGTHS = new RegExp(`^(.+)\\.${MAGNITUDE}(?:\\.default)?(?:\\.weight)?$`);
const ROWS = /^(.+)\.token_adapter\.trainable_tokens_delta(?:\.default)?$/;
const WHOLE = /^.+\.(?:weight|bias)$/;

/** Undefined for a tensor that is not part of a LoRA adapter of these models. */
export function parseAdapterName(name: string): AdapterTensor | undefined {
  const found = name.match(MODULE)?.[1].replaceAll(WRAPPERS, "");
  if (!found) return undefined;
  const [, adapted, factor, weight = ""] = found.match(FACTOR) ?? [];
  if (adapted) return { kind: "factor", module: adapted, factor: factor + weight };
  const [, scaled] = found.match(LENGTHS) ?? [];
  if (scaled) return { kind: "factor", module: scaled, factor: MAGNITUDE };
  const [, module] = found.match(ROWS) ?? [];
  if (module) return { kind: "rows", module };
  return WHOLE.test(found) ? { kind: "whole", parameter: found } : undefined;
}
