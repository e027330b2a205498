"""Compares a model that `merge` wrote with what peft's merge_and_unload makes of the same adapter.

    pip install torch transformers peft
    deno run -A cli.ts merge --model base/ --adapter adapter/ --output merged/ --dtype float32
    python tests/interop/merged_model.py base/ adapter/ merged/

Prints the largest difference of any weight, and of logits, as JSON.
"""

import json
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

base, adapter, merged = sys.argv[1:]


def load(folder: str):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


theirs = PeftModel.from_pretrained(load(base), adapter).merge_and_unload()
ours = load(merged)
expected = dict(theirs.named_parameters())
actual = dict(ours.named_parameters())
assert expected.keys() == actual.keys()
weights = max((actual[name] - expected[name]).abs().max().item() for name in expected)
changed = {name for name, value in load(base).named_parameters() if not value.equal(actual[name])}
ids = torch.randint(ours.config.vocab_size, (2, 40), generator=torch.Generator().manual_seed(1))
with torch.no_grad():
    logits = theirs(ids).logits
    difference = (ours(ids).logits - logits).abs().max().item()
print(json.dumps({"weights": weights, "changed": len(changed), "logits": difference,
                  "largest_logit": logits.abs().max().item()}))
