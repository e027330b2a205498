"""Writes a tiny random model of every supported architecture, to try programs on.

    python tests/interop/make_tiny_models.py <folder>        (torch, transformers)

Their vocabulary is that of the trainer's byte tokenizer: 256 bytes and <|endoftext|>.
"""

import sys
from pathlib import Path

import torch
from transformers import (AutoModelForCausalLM, GemmaConfig, LlamaConfig, MistralConfig, Qwen2Config,
                          Qwen3Config)

SIZES = dict(vocab_size=257, hidden_size=64, intermediate_size=176, num_hidden_layers=2,
             num_attention_heads=4, num_key_value_heads=2, head_dim=16,
             max_position_embeddings=256, initializer_range=0.08, bos_token_id=None,
             eos_token_id=256, pad_token_id=256)
CONFIGS = {
    "llama": LlamaConfig(**SIZES, rope_parameters=dict(
        rope_type="llama3", rope_theta=5e5, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=64)),
    "mistral": MistralConfig(**SIZES, sliding_window=32),
    "qwen2": Qwen2Config(**{k: v for k, v in SIZES.items() if k != "head_dim"}),
    "qwen3": Qwen3Config(**SIZES, tie_word_embeddings=True),
    "gemma": GemmaConfig(**SIZES),
}

for name, config in CONFIGS.items():
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith("bias") or "norm" in key:
                parameter.add_(0.1 * torch.randn_like(parameter))  # zeros and ones hide mistakes
    model.save_pretrained(Path(sys.argv[1]) / name)
