"""Writes tests/fixtures/lora: what peft and transformers make of LoRA and QLoRA adapters.

    pip install torch transformers peft bitsandbytes safetensors
    python tests/golden/make_lora.py

Each folder is an adapter as peft's `save_pretrained` writes it, A and B drawn at random, with
expected.safetensors: input_ids, labels, and of base and adapter in float32 the logits, the loss and
grad.<name> of every A and B, under the names of the saved file. Its base is a folder of
tests/fixtures/models, or one of the two that are made here as well: `odd`, whose feed-forward width
is 109, and `wide`, whose widths are multiples of 64 as bitsandbytes' processor backend wants them.

Of `wide-nf4` the base is quantised by bitsandbytes (NF4, double quantisation), with one repair: the
8-bit codes of the absolute maxima are the nearest, as the CUDA kernels find them (see make_nf4.py).
"""

import json
from pathlib import Path

import bitsandbytes.functional as F
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
}

BASES = {
    "odd": dict(hidden_size=40, intermediate_size=109, head_dim=12),
    "wide": dict(hidden_size=64, intermediate_size=192, head_dim=16),
}


def make_bases() -> None:
    for name, sizes in BASES.items():
        torch.manual_seed(11)
        config = LlamaConfig(vocab_size=61, num_hidden_layers=2, num_attention_heads=4,
                             num_key_value_heads=2, max_position_embeddings=64,
                             initializer_range=0.08, bos_token_id=None, eos_token_id=None, **sizes)
        LlamaForCausalLM(config).save_pretrained(FOLDER / name)
        (FOLDER / name / "generation_config.json").unlink()


def load(base: Path, nf4: bool):
    if not nf4:
        return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
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


def make(name: str, base: str, nf4: bool = False, **options) -> None:
    path = FOLDER / base if base in BASES else FIXTURES / "models" / base
    model = load(path, nf4)
    peft = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", lora_alpha=16, **options))
    generator = torch.Generator().manual_seed(3)
    factors = {key.replace(".default", ""): parameter
               for key, parameter in peft.named_parameters() if "lora_" in key}
    for parameter in factors.values():
        parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
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
    assert set(load_file(folder / "adapter_model.safetensors")) == set(factors)
    save_file({"input_ids": ids.int(), "labels": labels.int(),
               "logits": output.logits.detach().contiguous(),
               "loss": output.loss.detach().reshape(1),
               **{f"grad.{key}": factor.grad for key, factor in factors.items()}},
              folder / "expected.safetensors")
    print(f"{name}: loss {output.loss.item():.6f}, {len(factors)} factors")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    make_bases()
    for name, case in CASES.items():
        make(name, **case)
