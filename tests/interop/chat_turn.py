"""A question as transformers asks it, and the greedy answer: what `generate --chat --json` prints.

    python tests/interop/chat_turn.py <model folder> <question> <tokens> [adapter folder]

With an adapter that holds its embedding whole, the base gets as many rows first, as peft needs it.
"""
import json
import sys
import warnings
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

warnings.filterwarnings("ignore")
path, question, count, *adapters = sys.argv[1:]
own = adapters[0] if adapters else path
tokenizer = AutoTokenizer.from_pretrained(own)
model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
for adapter in adapters:
    from peft import PeftModel

    with safe_open(Path(adapter) / "adapter_model.safetensors", "pt") as file:
        rows = file.get_slice("base_model.model.model.embed_tokens.weight").get_shape()[0]
    model.resize_token_embeddings(rows, mean_resizing=False)
    model = PeftModel.from_pretrained(model, adapter)
turns = [{"role": "user", "content": question}]
ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
ends = model.generation_config.eos_token_id
if adapters:  # the base's configuration does not know the tokens
    ends = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>")]
out = model.generate(torch.tensor([ids]), max_new_tokens=int(count), do_sample=False,
                     eos_token_id=ends, pad_token_id=0)[0, len(ids):].tolist()
stopped = out[-1] in (ends if isinstance(ends, list) else [ends])
out = out[:-1] if stopped else out
print(json.dumps({"prompt_ids": ids, "token_ids": out, "stopped": stopped,
                  "vocabulary": len(tokenizer), "rows": model.config.vocab_size}))
