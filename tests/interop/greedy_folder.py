"""Continues a text greedily with transformers, from a model folder alone.

    python tests/interop/greedy_folder.py <folder> <prompt> <tokens>        (torch, transformers)

Prints as JSON the ids of the continuation, without the token that ends it, and the embedding's rows.
"""
import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, prompt, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
tokenizer = AutoTokenizer.from_pretrained(folder)
given = tokenizer(prompt, return_tensors="pt")
out = model.generate(**given, max_new_tokens=count, do_sample=False)[0, given["input_ids"].shape[1]:].tolist()
ids = out[:-1] if out and out[-1] == tokenizer.eos_token_id else out
print(json.dumps({"token_ids": ids, "rows": model.get_input_embeddings().num_embeddings}))
