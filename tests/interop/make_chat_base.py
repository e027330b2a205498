"""Tiny LLaMA models without chat tokens, for added_tokens.ts: `tied` and `untied` in a folder.

    python tests/interop/make_chat_base.py <tokenizer folder> <folder>
"""
import sys
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
for name in ["tied", "untied"]:
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128,
                         num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                         max_position_embeddings=256, tie_word_embeddings=name == "tied",
                         initializer_range=0.05, bos_token_id=tokenizer.bos_token_id,
                         eos_token_id=tokenizer.eos_token_id)
    folder = Path(sys.argv[2]) / name
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
