"""RoPE's scalings through GGUF: llama.cpp's logits beside transformers'.

    pip install torch transformers llama-cpp-python
    DENO=deno python tests/interop/rope_gguf.py

Writes the model of tests/fixtures/rope as F16 under each scaling that GGUF can express, and prints
the largest difference of a logit as a share of the largest logit: some thousandths for F16, and
beside it that of the unscaled model, which shows what a scaling that is ignored would cost. Exits
with 1 if the former exceeds two hundredths.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import llama_cpp
import numpy as np
import torch
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests/fixtures/rope"
MODELS = ROOT / "tests/fixtures/models"
golden = json.loads((FOLDER / "cases.json").read_text())
LONGROPE = golden["cases"]["longrope_long"]["config"]["rope_parameters"]
OTHERS = {
    # llama.cpp chooses by its context, of 256 here, transformers by the sequence.
    "longrope within": {"rope_parameters": {**LONGROPE, "original_max_position_embeddings": 512},
                        "max_position_embeddings": 2048},
    "longrope beyond": golden["cases"]["longrope_long"]["config"],
    "longrope beyond, attention_factor": {
        "rope_parameters": {**LONGROPE, "attention_factor": 1.4}, "max_position_embeddings": 96},
}
ARCHITECTURES = ["qwen2-bias", "qwen3-qknorm", "gemma-geglu"]
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
NAMES = ["yarn", "yarn_betas", "yarn_without_truncation", "yarn_attention_factor", "yarn_mscale", "yarn_equal_mscales",
         "yarn_original_outside", "linear", "llama3"]


def transformers_logits(folder, ids):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model(torch.tensor([ids])).logits.detach()[0].numpy()


def llama_logits(folder, ids):
    path = folder / "model.gguf"
    deno = [os.environ.get("DENO", "deno"), "run", "-A", str(ROOT / "tests/interop/write_gguf.ts")]
    subprocess.run([*deno, str(folder), str(path), "f16"], check=True)
    model = llama_cpp.Llama(str(path), logits_all=True, n_ctx=256, verbose=False)
    model.eval(ids)
    return model.scores[: len(ids)].copy()


def main():
    good = True
    scalings = {name: golden["cases"][name]["config"] for name in NAMES} | OTHERS
    cases = [(name, FOLDER, golden["base"], more) for name, more in scalings.items()]
    for name in ARCHITECTURES:
        own = json.loads((MODELS / name / "config.json").read_text())
        for scaling in YARN, {**YARN, "attention_factor": 1.4}:
            more = {"rope_parameters": {"rope_theta": 500.0, **scaling}}
            cases.append((f"{name} {scaling}", MODELS / name, own, more))
    for name, weights, base, config in cases:
        ids = golden["inputs"]["40"]
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            shutil.copy(weights / "model.safetensors", folder)
            write = lambda more: (folder / "config.json").write_text(json.dumps(base | more))
            write(config)
            expected, actual = transformers_logits(folder, ids), llama_logits(folder, ids)
            write({"rope_parameters": {"rope_theta": 500.0}})
            unscaled = transformers_logits(folder, ids)
        share = lambda logits: float(np.abs(logits - expected).max() / np.abs(expected).max())
        print(f"{name}: {share(actual):.5f}, unscaled {share(unscaled):.3f}")
        good = good and share(actual) < 0.02
    return good


sys.exit(0 if main() else 1)
