/** Names of tensors: llama.cpp's to Hugging Face's and back. */
import type { Traits } from "../../model/config.ts";

const GLOBAL: Record<string, string> = {
  "token_embd.weight": "model.embed_tokens.weight",
  "output_norm.weight": "model.norm.weight",
  "output.weight": "lm_head.weight",
};

/** Between `blk.N.` or `model.layers.N.` and `.weight` or `.bias`. */
const LAYER: Record<string, string> = {
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
  attn_q_norm: "self_attn.q_norm",
  attn_k_norm: "self_attn.k_norm",
  ffn_norm: "post_attention_layernorm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};

const inverse = (names: Record<string, string>) =>
  Object.fromEntries(Object.entries(names).map(([from, to]) => [to, from]));
const GLOBAL_GGUF = inverse(GLOBAL), LAYER_GGUF = inverse(LAYER);

/** Hugging Face's name; undefined for a tensor that no supported architecture has. */
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

/** Norms are stored as what is multiplied by, so with Gemma's 1 added. */
export function isNorm(hfName: string): boolean {
  return /norm\.weight$/.test(hfName);
}

/** Whether the rows of a tensor of Hugging Face's name are a query's or a key's. */
export function isQueryOrKey(hfName: string): boolean {
  return /\.self_attn\.[qk]_proj\.(weight|bias)$/.test(hfName);
}

/** Hugging Face's names of all that an architecture has, in the order of the model. */
export function expectedNames(
  traits: Traits & { readonly layers: number; readonly tieWordEmbeddings: boolean },
): string[] {
  const { attentionBias, outputBias, mlpBias, qkNorm } = traits;
  const linear = (name: string, bias: boolean) =>
    bias ? [`${name}.weight`, `${name}.bias`] : [`${name}.weight`];
  const parts = [
    "input_layernorm.weight",
    ...["q", "k", "v"].flatMap((each) => linear(`self_attn.${each}_proj`, attentionBias)),
    ...linear("self_attn.o_proj", outputBias),
    ...(qkNorm ? ["self_attn.q_norm.weight", "self_attn.k_norm.weight"] : []),
    "post_attention_layernorm.weight",
    ...["gate", "up", "down"].flatMap((each) => linear(`mlp.${each}_proj`, mlpBias)),
  ];
  return [
    "model.embed_tokens.weight",
    ...Array.from({ length: traits.layers }, (_, layer) => layer)
      .flatMap((layer) => parts.map((part) => `model.layers.${layer}.${part}`)),
    "model.norm.weight",
    ...(traits.tieWordEmbeddings ? [] : ["lm_head.weight"]),
  ];
}
