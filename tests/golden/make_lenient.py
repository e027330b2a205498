"""Writes tests/fixtures/lenient: checkpoints that are odd, and the logits that transformers gets.

    python tests/golden/make_lenient.py       (torch, transformers, safetensors)

A folder each, named for what is odd. `logits.safetensors` holds `<folder>`: float32 (T, V) for the
input ids 1 … T, of those that transformers loads; `configs.json` lists changes of a config.json with
what transformers makes of them, or null where it refuses them.
"""
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import (AutoConfig, AutoModelForCausalLM, GemmaConfig, GemmaForCausalLM,
                          LlamaConfig, LlamaForCausalLM, LlamaModel, MistralConfig, Qwen2Config, Qwen3Config)

OUT = Path(__file__).parent.parent / "fixtures" / "lenient"
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir()
SIZES = dict(vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
             num_attention_heads=2, num_key_value_heads=1, head_dim=8, max_position_embeddings=64)
IDS = torch.arange(1, 7)[None]
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
torch.manual_seed(3)


def randomised(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3 + (parameter.mean() > 0.5))
    return model.eval()


untied = randomised(LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=False)))
tied = randomised(LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True)))
logits = {}


def save(name, model, change=lambda tensors: tensors, config=lambda json: json, read=True):
    folder = OUT / name
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    file = folder / "model.safetensors"
    tensors = {key: value.clone() for key, value in change(load_file(file)).items()}
    save_file(tensors, file, {"format": "pt"})
    path = folder / "config.json"
    path.write_text(json.dumps(config(json.loads(path.read_text())), indent=2) + "\n")
    if read:
        logits[name] = read_logits(folder)


def read_logits(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return model(IDS).logits[0].contiguous()


save("plain", untied)
save("tied", tied)
# The head: config.json says tied, the file has one.
save("tied_other_head", untied, config=lambda json: json | {"tie_word_embeddings": True})
save("tied_equal_head", tied, lambda t: t | {HEAD: t[EMBEDDING]})
save("tied_head_only", tied, lambda t: {HEAD if k == EMBEDDING else k: v for k, v in t.items()})
save("untied_no_head", untied, lambda t: {k: v for k, v in t.items() if k != HEAD}, read=False)
# Names: transformers' base model, and tensors that no longer belong to the model.
base = LlamaModel(tied.config)
base.load_state_dict(tied.model.state_dict())
save("base_model", base)
save("old_frequencies", untied,
     lambda t: t | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)})
# Names of wrapped models, of which transformers loads nothing: the same logits as "plain".
save("compiled", untied, lambda t: {f"_orig_mod.{k}": v for k, v in t.items()}, read=False)
save("compiled_layers", untied,
     lambda t: {k.replace("layers.0.", "layers.0._orig_mod."): v for k, v in t.items()}, read=False)
save("twice", untied, lambda t: {f"model.{k}": v for k, v in t.items()}, read=False)
# Types.
save("float64", untied, lambda t: {k: v.double() for k, v in t.items()})
save("float16", untied, lambda t: {k: v.half() for k, v in t.items()})
save("float8", untied, lambda t: {k: v.to(torch.float8_e4m3fn if "mlp" in k else torch.float8_e5m2)
                                  if v.dim() == 2 else v for k, v in t.items()})
# Values.
save("nan", untied, lambda t: t | {"model.layers.0.mlp.up_proj.weight":
                                   torch.full((24, 16), float("nan")).fill_diagonal_(1.0)}, read=False)
save("scaled_float8", untied, lambda t: t | {"model.layers.0.mlp.up_proj.weight_scale_inv": torch.ones(1)},
     read=False)


# An index beside the single file, of other weights; an index that lists too little or a wrong file.
def sharded(name, change):
    folder = OUT / name
    untied.save_pretrained(folder, max_shard_size="4KB")
    (folder / "generation_config.json").unlink(missing_ok=True)
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    change(index["weight_map"], folder)
    path.write_text(json.dumps(index, indent=2) + "\n")
    logits[name] = read_logits(folder)


def wrong_file(names, folder):
    shared = next(name for name, file in names.items() if list(names.values()).count(file) > 1)
    names[shared] = next(file for file in names.values() if file != names[shared])


def single_too(names, folder):
    save_file(load_file(OUT / "tied_other_head" / "model.safetensors"), folder / "model.safetensors",
              {"format": "pt"})


sharded("index_lists_less", lambda names, folder: names.pop("model.norm.weight"))
sharded("index_names_other_file", wrong_file)
sharded("index_and_single", single_too)
save("gelu", untied, config=lambda json: json | {"hidden_act": "gelu"})
# The first releases of Gemma say "gelu"; transformers 5 no longer reads the other.
gemma = randomised(GemmaForCausalLM(GemmaConfig(**SIZES)))
save("gemma_gelu", gemma, config=lambda json: json | {"hidden_act": "gelu",
                                                      "hidden_activation": "gelu_pytorch_tanh"})
save_file(logits, OUT / "logits.safetensors")

codes = torch.arange(256, dtype=torch.uint8)
e4m3, e5m2 = codes.view(torch.float8_e4m3fn), codes.clone().view(torch.float8_e5m2)
save_file({"e4m3": e4m3, "e5m2": e5m2, "e4m3.values": e4m3.float(), "e5m2.values": e5m2.float()},
          OUT / "float8.safetensors")

# ---- config.json ----
CLASSES = dict(llama=LlamaConfig, mistral=MistralConfig, qwen2=Qwen2Config, qwen3=Qwen3Config,
               gemma=GemmaConfig)
CHANGES = [
    {"architectures": None}, {"dtype": None, "torch_dtype": "float16"}, {"num_key_value_heads": None},
    {"num_key_value_heads": ...}, {"head_dim": None}, {"head_dim": ...}, {"rms_norm_eps": "1e-5"},
    {"rms_norm_eps": ...}, {"eos_token_id": [1, 2]}, {"eos_token_id": None}, {"eos_token_id": ...},
    {"bos_token_id": None}, {"sliding_window": None},
    {"sliding_window": None, "use_sliding_window": False}, {"sliding_window": 16, "use_sliding_window": False},
    {"sliding_window": 16}, {"sliding_window": 16, "use_sliding_window": True, "max_window_layers": 0},
    {"attention_bias": True}, {"attention_bias": None}, {"mlp_bias": True}, {"mlp_bias": None},
    {"pretraining_tp": 2}, {"hidden_act": ...}, {"hidden_act": "swish"}, {"hidden_act": "gelu"}, {"tie_word_embeddings": None}, {"tie_word_embeddings": ...},
    {"max_position_embeddings": ...}, {"initializer_range": ...}, {"rope_theta": 5000.0},
    {"hidden_size": 16.0}, {"num_hidden_layers": "1"}, {"vocab_size": None},
    {"use_cache": False}, {"some_new_key": {"x": 1}},
]
ABSENT = "(absent)"


def outcome(json_config):
    """What the model that transformers builds is like."""
    try:
        config = AutoConfig.for_model(**json_config)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except Exception as error:
        return None
    layer = model.model.layers[0]
    attention = layer.self_attn
    # Mistral's mask reads the configuration, Qwen's the layer's attention.
    window = config.sliding_window if config.model_type == "mistral" else getattr(
        attention, "sliding_window", None)
    act = type(layer.mlp.act_fn).__name__.lower()
    activation = "gelu_tanh" if "tanh" in act else "gelu" if "gelu" in act else "silu"
    return dict(
        keyValueHeads=attention.k_proj.out_features // attention.head_dim, headSize=attention.head_dim,
        rmsNormEps=getattr(layer.input_layernorm, "variance_epsilon", getattr(layer.input_layernorm, "eps", None)),
        attentionBias=attention.q_proj.bias is not None, outputBias=attention.o_proj.bias is not None,
        mlpBias=layer.mlp.up_proj.bias is not None, activation=activation,
        tied=bool(config.tie_word_embeddings), window=window, positions=config.max_position_embeddings,
        bos=config.bos_token_id, eos=config.eos_token_id, pad=config.pad_token_id,
    )


types, cases = {}, []
for name, kind in CLASSES.items():
    # As transformers 4 wrote it: every key explicit.
    whole = dict(model_type=name, **SIZES, rms_norm_eps=1e-5, hidden_act="gelu_pytorch_tanh" if name == "gemma" else "silu",
                 tie_word_embeddings=name == "gemma", attention_bias=False, rope_theta=10000.0, bos_token_id=1,
                 eos_token_id=2, initializer_range=0.02)
    if name == "llama":
        whole["mlp_bias"] = False
    if name == "qwen2":
        whole.pop("attention_bias"), whole.pop("head_dim")
    types[name] = whole
    for change in CHANGES:
        config = {k: v for k, v in (whole | change).items() if v is not ...}
        shown = {k: ABSENT if v is ... else v for k, v in change.items()}
        cases.append(dict(type=name, change=shown, expected=outcome(config)))
lines = ",\n".join(json.dumps(case) for case in cases)
(OUT / "configs.json").write_text(f'{{"types": {json.dumps(types)}, "cases": [\n{lines}\n]}}\n')
