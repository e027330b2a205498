"""Writes tests/fixtures/lora: what peft and transformers make of LoRA and QLoRA adapters.

    pip install torch transformers peft bitsandbytes safetensors
    python tests/golden/make_lora.py [case ...]

Each folder is an adapter as peft's `save_pretrained` writes it, A and B drawn at random, with
expected.safetensors: input_ids, labels, and of base and adapter in float32 the logits, the loss and
grad.<name> of every A and B, under the names of the saved file. Its base is a folder of
tests/fixtures/models, or one of those that are made here as well: `odd`, whose feed-forward width
is 109, `wide`, whose widths are multiples of 64 as bitsandbytes' processor backend wants them, and
`tied`, with one matrix for embedding and head, and biases.

The cases of FORMS are what peft writes where not everything is the same: patterns, layers, the
embedding and the head as targets or trained whole, biases, rows of tokens, a resized vocabulary.
Everything that is trained is drawn at random there.

Of `wide-nf4` the base is quantised by bitsandbytes (NF4, double quantisation), with one repair: the
8-bit codes of the absolute maxima are the nearest, as the CUDA kernels find them (see make_nf4.py).
"""

import json
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

FIXTURES = Path(__file__).parents[1] / "fixtures"
FOLDER = FIXTURES / "lora"
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

CASES = {
    "llama-all-r4": dict(base="llama-gqa-tied", r=4, target_modules=ALL),
    "llama-qv-r8": dict(base="llama-gqa-tied", r=8, target_modules=["q_proj", "v_proj"]),
    "qwen2-all-r8": dict(base="qwen2-bias", r=8, target_modules="all-linear"),
    "qwen2-qv-r4-rslora": dict(base="qwen2-bias", r=4, target_modules=["q_proj", "v_proj"],
                               use_rslora=True),
    "odd-all-r5": dict(base="odd", r=5, target_modules=ALL),
    "wide-nf4": dict(base="wide", r=8, target_modules=ALL, nf4=True),
    # Ranks above sides of 24, 40 and 48; on every projection, with biases.
    "odd-dora": dict(base="odd", r=45, target_modules=["v_proj", "o_proj"], use_dora=True,
                     use_rslora=True),
    "tied-dora": dict(base="tied", r=3, target_modules=ALL, use_dora=True),
}

VOCABULARY = ["embed_tokens", "lm_head"]
QV = ["q_proj", "v_proj"]

FORMS = {
    "odd-patterns": dict(
        base="odd", r=4, lora_alpha=6,
        target_modules=r".*layers\.1\..*\.(q|v|down)_proj|.*layers\.0\.mlp\.up_proj",
        rank_pattern={"down_proj": 2, r"layers\.\d+\.self_attn\.(v|k)_proj": 3},
        alpha_pattern={"model.layers.0.mlp.up_proj": 5, "self_attn.q_proj": 32}),
    "odd-layers": dict(base="odd", r=3, target_modules=ALL, layers_to_transform=[1],
                       layers_pattern="layers", exclude_modules=["k_proj"], use_rslora=True,
                       rank_pattern={"o_proj": 5}, fan_in_fan_out=True),
    "odd-vocabulary": dict(base="odd", r=3, target_modules=["q_proj", *VOCABULARY]),
    "tied-vocabulary": dict(base="tied", r=5, target_modules=["q_proj", *VOCABULARY]),
    "odd-whole": dict(base="odd", r=3, target_modules=QV, modules_to_save=VOCABULARY),
    "tied-whole": dict(base="tied", r=3, target_modules=QV, modules_to_save=VOCABULARY),
    "tied-whole-embedding": dict(base="tied", r=3, target_modules=QV,
                                 modules_to_save=["embed_tokens"]),
    "odd-norms": dict(base="odd", r=3, target_modules=QV,
                      modules_to_save=["norm", "input_layernorm"]),
    "tied-bias-all": dict(base="tied", r=3, target_modules=QV, bias="all"),
    "tied-bias-lora-only": dict(base="tied", r=3, target_modules=QV, bias="lora_only"),
    "tied-dora-bias": dict(base="tied", r=3, target_modules=ALL, use_dora=True, bias="all"),
    "odd-tokens": dict(base="odd", r=3, target_modules=QV, trainable_token_indices=[9, 2, 60]),
    "tied-tokens": dict(base="tied", r=3, target_modules=QV, trainable_token_indices=[9, 2, 60]),
    "odd-tokens-head": dict(base="odd", r=3, target_modules=QV,
                            trainable_token_indices={"embed_tokens": [7], "lm_head": [3, 1]}),
    "odd-resized": dict(base="odd", r=3, target_modules=QV, resize=70),
    "tied-resized": dict(base="tied", r=3, target_modules=QV, resize=70),
}

BASES = {
    "odd": dict(hidden_size=40, intermediate_size=109, head_dim=12),
    "wide": dict(hidden_size=64, intermediate_size=192, head_dim=16),
    "tied": dict(hidden_size=40, intermediate_size=56, head_dim=8, tie_word_embeddings=True,
                 attention_bias=True),
}


def make_bases(names) -> None:
    for name, sizes in BASES.items():
        if name not in names:
            continue
        torch.manual_seed(11)
        config = LlamaConfig(vocab_size=61, num_hidden_layers=2, num_attention_heads=4,
                             num_key_value_heads=2, max_position_embeddings=64,
                             initializer_range=0.08, bos_token_id=None, eos_token_id=None, **sizes)
        LlamaForCausalLM(config).save_pretrained(FOLDER / name)
        (FOLDER / name / "generation_config.json").unlink()


def load(base: Path, nf4: bool):
    if not nf4:
        return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    import bitsandbytes.functional as F  # only this case needs it

    quantisation = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4",
                                      bnb_4bit_use_double_quant=True,
                                      bnb_4bit_compute_dtype=torch.float32)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, device_map="cpu",
                                                 quantization_config=quantisation)
    weights = load_file(base / "model.safetensors")
    dynamic, changed, count = F.create_dynamic_map(), 0, 0
    for name, parameter in model.named_parameters():
        state = getattr(parameter, "quant_state", None)
        if state is None:
            continue
        _, single = F.quantize_4bit(weights[name], blocksize=64, quant_type="nf4")
        scales = state.state2.absmax.repeat_interleave(256)[: single.absmax.numel()]
        centred = (single.absmax - state.offset) / scales
        nearest = (centred[:, None] - dynamic).abs().argmin(dim=-1).to(torch.uint8)
        changed, count = changed + int((nearest != state.absmax).sum()), count + nearest.numel()
        state.absmax = nearest
    print(f"{changed} of {count} codes of absolute maxima repaired")
    return model


def inputs_of(base: Path, vocabulary: int) -> tuple[torch.Tensor, torch.Tensor]:
    if (base / "expected.safetensors").exists():
        expected = load_file(base / "expected.safetensors")
        return expected["input_ids"].long(), expected["labels"].long()
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(vocabulary, (2, 17), generator=generator)
    labels = ids.clone()
    labels[0, :4] = -100
    return ids, labels


def make(name: str, base: str, nf4: bool = False, resize: int = 0, **options) -> None:
    path = FOLDER / base if base in BASES else FIXTURES / "models" / base
    model = load(path, nf4)
    if resize:
        model.resize_token_embeddings(resize)
    peft = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **{"lora_alpha": 16, **options}))
    generator = torch.Generator().manual_seed(3)
    factors = {key.replace(".default", "").replace("vector.weight", "vector"): parameter
               for key, parameter in peft.named_parameters() if "lora_" in key}
    for key, parameter in factors.items():
        noise = 0.1 * torch.randn(parameter.shape, generator=generator)
        parameter.data = parameter.data * (1 + noise) if key.endswith("vector") else noise
    if name in FORMS:
        others = [parameter for key, parameter in peft.named_parameters()
                  if "lora_" not in key and (parameter.requires_grad or resize and "embed" in key)]
        for parameter in others:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    wholes = {f"base_model.model.{key.removeprefix('base_model.model.').split('.modules_to_save')[0]}"
              ".weight": parameter for key, parameter in peft.named_parameters()
              if "modules_to_save" in key and name == "odd-whole"}
    ids, labels = inputs_of(path, model.config.vocab_size)
    peft.train()  # nothing is dropped; evaluating, bitsandbytes may compute in bfloat16
    output = peft(input_ids=ids, labels=labels)
    output.loss.backward()
    folder = FOLDER / name
    peft.save_pretrained(folder)
    (folder / "README.md").unlink()
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = base
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()  # a set, in another order each time
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
    saved = load_file(folder / "adapter_model.safetensors")
    assert set(factors) <= set(saved) and (name in FORMS or set(factors) == set(saved))
    save_file({"input_ids": ids.int(), "labels": labels.int(),
               "logits": output.logits.detach().contiguous(),
               "loss": output.loss.detach().reshape(1),
               **{f"grad.{key}": trained.grad for key, trained in {**factors, **wholes}.items()}},
              folder / "expected.safetensors")
    print(f"{name}: loss {output.loss.item():.6f}, {len(factors)} factors")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    cases = {**CASES, **FORMS}
    chosen = sys.argv[1:] or list(cases)
    make_bases({cases[name]["base"] for name in chosen})
    for name in chosen:
        make(name, **cases[name])
