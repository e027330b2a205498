"""Writes tests/fixtures/models/greedy.json: what transformers' greedy search continues prompts with.

    pip install torch transformers
    python tests/golden/make_greedy.py
"""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

MODELS = Path(__file__).parents[1] / "fixtures/models"
PROMPTS = [[7], [1, 2, 3], list(range(100, 133))]

golden = {}
for name in ["llama-mha", "llama-gqa-tied"]:
    model = AutoModelForCausalLM.from_pretrained(MODELS / name, dtype=torch.float32)
    golden[name] = []
    for prompt in PROMPTS:
        ids = torch.tensor([prompt])
        out = model.generate(ids, max_new_tokens=24, do_sample=False, eos_token_id=None)
        golden[name].append({"prompt": prompt, "continuation": out[0, len(prompt):].tolist()})
(MODELS / "greedy.json").write_text(json.dumps(golden) + "\n")
