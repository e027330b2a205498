"""Writes tests/fixtures/rope: a tiny model under every kind of RoPE scaling, as transformers runs it.

    pip install torch transformers safetensors
    python tests/golden/make_rope.py

model.safetensors   weights of a LLaMA with heads of 16, shared by all cases
cases.json          what each case adds to the base configuration, and its sequence length; the
                    greedy continuations of prompts that end below the border and cross it
expected.safetensors  <case>.logits of the last ROWS positions, or for TRAINED cases of all of them,
                    with <case>.loss and <case>.grad.<parameter>
"""

import json
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

FOLDER = Path(__file__).parents[1] / "fixtures/rope"
MODELS = Path(__file__).parents[1] / "fixtures/models"
ROWS = 3
BASE = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 32,
    "hidden_size": 32,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "hidden_act": "silu",
    "max_position_embeddings": 32,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
}
SHORT = [1.0, 1.1, 1.25, 1.5, 2.0, 2.5, 3.0, 3.5]
LONG = [1.0, 1.5, 2.5, 4.0, 6.0, 9.0, 13.0, 20.0]
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
LONGROPE = {
    "rope_type": "longrope",
    "short_factor": SHORT,
    "long_factor": LONG,
    "original_max_position_embeddings": 24,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}


def parameters(scaling, theta=500.0, **more):
    """As transformers 5 writes it."""
    return {"rope_parameters": {"rope_theta": theta, **scaling}, **more}


# Logits, loss and every gradient: (configuration, tokens).
TRAINED = {
    "yarn": (parameters(YARN, max_position_embeddings=128), 48),
    "dynamic": (parameters({"rope_type": "dynamic", "factor": 3.0}), 48),
    "longrope_short": (parameters(LONGROPE, max_position_embeddings=96), 24),
    "longrope_long": (parameters(LONGROPE, max_position_embeddings=96), 25),
}

CONFIGS = {
    "yarn_below": (parameters(YARN, max_position_embeddings=128), 20),
    "yarn_betas": (parameters({**YARN, "beta_fast": 1.5, "beta_slow": 0.25}), 40),
    "yarn_without_truncation": (parameters({**YARN, "beta_fast": 1.5, "truncate": False}), 40),
    "yarn_truncate_null": (parameters({**YARN, "beta_fast": 1.5, "truncate": None}), 40),
    "yarn_betas_swapped": (parameters({**YARN, "beta_fast": 0.5, "beta_slow": 4}), 40),
    "yarn_attention_factor": (parameters({**YARN, "attention_factor": 0.75}), 40),
    "yarn_mscale": (parameters({**YARN, "mscale": 0.7, "mscale_all_dim": 1.4}), 40),
    "yarn_one_mscale": (parameters({**YARN, "mscale": 0.7}), 40),
    "yarn_equal_mscales": (parameters({**YARN, "mscale": 1.0, "mscale_all_dim": 1.0}), 40),
    "yarn_factor_null": (parameters({**YARN, "factor": None}, max_position_embeddings=80), 40),
    "yarn_other_ratio": (parameters({**YARN, "factor": 2.5}, max_position_embeddings=80), 40),
    "yarn_without_original": (
        parameters({"rope_type": "yarn", "factor": 4.0}, max_position_embeddings=64),
        40,
    ),
    "yarn_original_outside": (
        parameters(YARN, original_max_position_embeddings=16, max_position_embeddings=64),
        40,
    ),
    "yarn_factor_below_1": (parameters({**YARN, "factor": 0.5}), 40),
    "yarn_finetuned": (parameters({**YARN, "finetuned": True}), 40),
    "dynamic_below": (parameters({"rope_type": "dynamic", "factor": 3.0}), 32),
    "dynamic_one_beyond": (parameters({"rope_type": "dynamic", "factor": 3.0}), 33),
    "dynamic_with_original": (
        parameters({"rope_type": "dynamic", "factor": 3.0, "original_max_position_embeddings": 16}),
        40,
    ),
    "longrope_factor": (parameters({**LONGROPE, "factor": 8.0}, max_position_embeddings=96), 40),
    "longrope_attention_factor": (
        parameters({**LONGROPE, "factor": 8.0, "attention_factor": 1.5}),
        40,
    ),
    "longrope_attention_factor_below": (parameters({**LONGROPE, "attention_factor": 1.5}), 20),
    "longrope_ratio_1": (parameters(LONGROPE, max_position_embeddings=24), 24),
    "longrope_original_outside": (
        parameters(
            {key: LONGROPE[key] for key in ("rope_type", "short_factor", "long_factor")},
            original_max_position_embeddings=16,
            max_position_embeddings=64,
        ),
        20,
    ),
    "llama3": (parameters(LLAMA3, max_position_embeddings=128), 40),
    "llama3_without_original": (
        parameters({k: v for k, v in LLAMA3.items() if k[:8] != "original"}),
        40,
    ),
    "linear": (parameters({"rope_type": "linear", "factor": 4.0}), 40),
    "linear_below_1": (parameters({"rope_type": "linear", "factor": 0.5}), 40),
    # The older style, and both styles in one file.
    "old_style": ({"rope_theta": 500.0, "rope_scaling": {"type": "yarn", "factor": 4.0}}, 40),
    "old_style_null": ({"rope_theta": 500.0, "rope_scaling": None}, 30),
    "rope_type_wins": (
        {"rope_theta": 500.0, "rope_scaling": {"type": "linear", **YARN}},
        40,
    ),
    "theta_inside_wins": (parameters({}, theta=500.0, rope_theta=10000.0), 30),
    "theta_in_scaling": ({"rope_theta": 100.0, "rope_scaling": {**YARN, "rope_theta": 500.0}}, 40),
    "scaling_wins": (
        parameters(
            {"rope_type": "linear", "factor": 2.0},
            rope_theta=500.0,
            rope_scaling={"type": "dynamic", "factor": 3.0},
        ),
        40,
    ),
    "scaling_beside_default": (
        parameters(
            {"rope_type": "default"},
            rope_theta=500.0,
            rope_scaling={"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32},
        ),
        40,
    ),
    "scaling_has_theta": (
        parameters(
            {"rope_type": "default"}, theta=100.0, rope_scaling={**YARN, "rope_theta": 500.0}
        ),
        40,
    ),
    "scaling_null_beside": (parameters(YARN, rope_theta=100.0, rope_scaling=None), 40),
    "scaling_empty_beside": (parameters(YARN, rope_theta=100.0, rope_scaling={}), 40),
    "theta_lost": (parameters({}, theta=500.0, rope_scaling={"type": "linear", "factor": 2.0}), 40),
    # What transformers does not run.
    "yarn_without_factor": (parameters({"rope_type": "yarn"}), 40),
    "linear_null": (parameters({"rope_type": "linear", "factor": None}), 40),
    "dynamic_text": (parameters({"rope_type": "dynamic", "factor": "3.0"}), 40),
    "unknown": (parameters({"rope_type": "ntk", "factor": 2.0}), 40),
    "null_type": (parameters({"rope_type": None, "type": "linear", "factor": 2.0}), 40),
    "longrope_misshapen": (parameters({**LONGROPE, "long_factor": LONG[:7]}), 40),
    "by_layer_type": ({"rope_parameters": {"full_attention": YARN, "sliding_attention": YARN}}, 40),
    # What transformers ignores or gets wrong silently.
    "yarn_attn_factor": (parameters({**YARN, "attn_factor": 0.5}), 40),
    "factor_without_type": ({"rope_theta": 500.0, "rope_scaling": {"factor": 4.0}}, 40),
    "partial": (parameters({"partial_rotary_factor": 0.5}), 30),
    "partial_outside": (parameters(YARN, partial_rotary_factor=0.5), 30),
}

# Prompts of these lengths, continued beyond the border.
GENERATED = {
    "yarn": [20, 60],
    "dynamic": [28, 40],
    "longrope_long": [20, 30],
}

# The same in the other architectures, with the weights of tests/fixtures/models.
ARCHITECTURES = ["mistral-window", "qwen2-bias", "qwen3-qknorm", "gemma-geglu"]


def tokens(length, vocabulary):
    return torch.randint(vocabulary, (1, length), generator=torch.Generator().manual_seed(length))


def load(weights, config):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(weights, Path(folder) / "model.safetensors")
        (Path(folder) / "config.json").write_text(json.dumps(config))
        return AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager"
        )


FOLDER.mkdir(exist_ok=True)
torch.manual_seed(10)
LlamaForCausalLM(LlamaConfig(**BASE, initializer_range=0.25)).save_pretrained(FOLDER)
for extra in ("config.json", "generation_config.json"):
    (FOLDER / extra).unlink()
weights = FOLDER / "model.safetensors"
cases, expected = {}, {}

for name, (more, length) in {**TRAINED, **CONFIGS}.items():
    case = cases[name] = {"config": more, "length": length}
    try:
        model = load(weights, BASE | more)
        ids = tokens(length, 32)
        out = model(ids, labels=ids)
    except Exception as error:
        case["refused"] = type(error).__name__
        print(f"{name}: {type(error).__name__}: {str(error)[:90]}")
        continue
    logits = out.logits.detach()[0]
    if name not in TRAINED:
        expected[f"{name}.logits"] = logits[-ROWS:].clone()
        continue
    out.loss.backward()
    expected[f"{name}.logits"] = logits.clone()
    expected[f"{name}.loss"] = out.loss.detach().reshape(1)
    for parameter, value in model.named_parameters():
        expected[f"{name}.grad.{parameter}"] = value.grad

continuations = []
for name, prompts in GENERATED.items():
    for length in prompts:
        # A fresh model: transformers keeps the frequencies of the longest sequence so far.
        model, ids = load(weights, BASE | cases[name]["config"]), tokens(length, 32)
        out = model.generate(
            ids, max_new_tokens=24, do_sample=False, eos_token_id=None, output_scores=True,
            return_dict_in_generate=True,
        )
        margin = min(float(s.topk(2).values.diff().abs()) for s in out.scores)
        print(f"{name} {length}: least margin {margin:.4f}")
        continuation = out.sequences[0, length:].tolist()
        continuations.append({"case": name, "prompt": length, "continuation": continuation})

architectures = {}
for name in ARCHITECTURES:
    config = json.loads((MODELS / name / "config.json").read_text())
    config.pop("rope_scaling", None)
    config["rope_parameters"] = {"rope_theta": 500.0, **YARN, "beta_fast": 4}
    model, ids = load(MODELS / name / "model.safetensors", config), tokens(40, 32)
    expected[f"{name}.logits"] = model(ids).logits.detach()[0, -ROWS:].clone()
    architectures[name] = {"rope_parameters": config["rope_parameters"], "length": 40}

inputs = {length: tokens(length, 32)[0].tolist() for length in
          sorted({case["length"] for case in cases.values()} | {n for p in GENERATED.values() for n in p})}
(FOLDER / "cases.json").write_text(json.dumps({
    "base": BASE,
    "inputs": inputs,
    "cases": cases,
    "continuations": continuations,
    "architectures": architectures,
}, separators=(",", ":")) + "\n")
save_file(expected, FOLDER / "expected.safetensors")
