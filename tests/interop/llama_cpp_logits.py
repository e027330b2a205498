"""Compares llama.cpp's logits on a GGUF file with those PyTorch gave for the model it came from.

    python tests/interop/llama_cpp_logits.py <model.gguf> <expected.safetensors>   (llama-cpp-python)

Prints the largest difference and the largest logit as JSON; in F16 they are a few thousandths
apart. Beyond a sliding window, of which llama.cpp knows nothing in this architecture, they differ.
"""
import json
import sys

import llama_cpp
import numpy as np
from safetensors.numpy import load_file

path, golden = sys.argv[1:]
expected = load_file(golden)
model = llama_cpp.Llama(path, logits_all=True, n_ctx=256, verbose=False)
largest = 0.0
for ids, logits in zip(expected["input_ids"], expected["logits"]):
    model.reset()
    model.eval(ids.tolist())
    largest = max(largest, float(np.abs(model.scores[: len(ids)] - logits).max()))
print(json.dumps({"difference": largest, "logit": float(np.abs(expected["logits"]).max())}))
