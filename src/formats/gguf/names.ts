/** Converts tensor names between llama.cpp and Hugging Face. */
import { LAYER_MODULES, type LayerPart } from "../../model/description.ts";

const GLOBAL: Record<string, string> = {
  "token_embd.weight": "model.embed_tokens.weight",
  "output_norm.weight": "model.norm.weight",
  "output.weight": "lm_head.weight",
};

/** The part between `blk.N.` and `.weight` or `.bias`. */
const PARTS: Record<LayerPart, string> = {
  inputNorm: "attn_norm",
  query: "attn_q",
  key: "attn_k",
  value: "attn_v",
  output: "attn_output",
  queryNorm: "attn_q_norm",
  keyNorm: "attn_k_norm",
  postAttentionNorm: "ffn_norm",
  gate: "ffn_gate",
  up: "ffn_up",
  down: "ffn_down",
};

/** Hugging Face's name of a module by llama.cpp's. */
const LAYER: Record<string, string> = Object.fromEntries(
  Object.entries(PARTS).map(([part, name]) => [name, LAYER_MODULES[part as LayerPart]]),
);

const inverse = (names: Record<string, string>) =>
  Object.fromEntries(Object.entries(names).map(([from, to]) => [to, from]));
const GLOBAL_GGUF = inverse(GLOBAL), LAYER_GGUF = inverse(LAYER);

/** Hugging Face's name; undefined for a tensor in no supported architecture. */
export function toHfName(name: string): string | undefined {
  const [, layer, part, kind] = name.match(/^blk\.(\d+)\.(\w+)\.(weight|bias)$/) ?? [];
  if (layer === undefined) return GLOBAL[name];
  return LAYER[part] && `model.layers.${layer}.${LAYER[part]}.${kind}`;
}

/** llama.cpp's name; undefined as above. */
export function toGgufName(name: string): string | undefined {
  const [, layer, part, kind] = name.match(/^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/) ?? [];
  if (layer === undefined) return GLOBAL_GGUF[name];
  return LAYER_GGUF[part] && `blk.${layer}.${LAYER_GGUF[part]}.${kind}`;
}

/** Whether it is a norm: GGUF stores the effective weight, including Gemma's offset of 1. */
export function isNorm(hfName: string): boolean {
  return /norm\.weight$/.test(hfName);
}

/** Whether a tensor, by Hugging Face's name, is a query or key projection. */
export function isQueryOrKey(hfName: string): boolean {
  return /\.self_attn\.[qk]_proj\.(weight|bias)$/.test(hfName);
}
