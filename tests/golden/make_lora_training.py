"""Writes tests/fixtures/lora_training: runs of peft and transformers with variants of LoRA.

    pip install torch transformers peft safetensors
    python tests/golden/make_lora_training.py [case ...]

Each folder is the adapter that a run begins with, as peft's `save_pretrained` writes it, and
expected.safetensors: input_ids and labels (batches, B, T), which steps take in turn, lengths
(batches), to which a collator would have padded each, losses (steps), and of every trained tensor
its values after the last step, under the names of the saved file. Its base is a folder of
tests/fixtures/lora. Everything is float32, the optimizer torch's AdamW; of LoRA+ it is made by
peft's `create_loraplus_optimizer`. NEFTune's noise is added by transformers' own hook, whose random
numbers are drawn from the trainer's counters: PCG4D (Jarzynski & Olano 2020) by seed, step, tensor
and element. A base in NF4 is quantised by bitsandbytes, as in make_lora.py, which only that needs.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from safetensors.torch import load_file, save_file
from make_lora import load
from transformers.integrations.neftune import activate_neftune

FIXTURES = Path(__file__).parents[1] / "fixtures"
FOLDER = FIXTURES / "lora_training"
STEPS, BATCHES, BATCH, LENGTH, VOCABULARY = 24, 4, 2, 17, 61
RATE, SEED = 0.01, 42
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

CASES = {
    # All gradients of a step scaled down by their common norm.
    "clipped": dict(base="odd", r=3, target_modules=ALL, clip=0.1),
    # A rank above both sides of v (40 to 24), and above one of down (109 to 40).
    "rslora": dict(base="odd", r=45, target_modules=["v_proj", "down_proj"], use_rslora=True),
    "loraplus": dict(base="tied", r=3, target_modules=["q_proj", "v_proj", "embed_tokens"],
                     ratio=4.0, embedding_rate=1e-3),
    "neftune": dict(base="odd", r=3, target_modules=["q_proj", "v_proj"], noise=5.0),
    # Micro-batches that are padded to their longest row, on NF4.
    "neftune-padded-nf4": dict(base="wide", r=4, target_modules=ALL, noise=8.0, nf4=True,
                               lengths=(17, 9, 12, 17)),
    "dora": dict(base="odd", r=5, target_modules=ALL, use_dora=True),
    "dora-wide": dict(base="tied", r=45, target_modules=["k_proj", "o_proj"], use_dora=True,
                      use_rslora=True, ratio=2.0),
    # Lengths are of weights alone. The biases have been trained before, and are frozen here.
    "dora-biases": dict(base="tied", r=3, target_modules=ALL, use_dora=True, bias="all"),
}


def uniform(shape, step: int) -> torch.Tensor:
    """Numbers in [0, 1) for the (B, L, C) embedded tokens of a step; the embedding is tensor 0. The
    trainer has room for T tokens in a row, of which a batch has L."""
    batch, length, columns = shape
    rows = (np.arange(batch)[:, None] * LENGTH + np.arange(length)[None, :]).reshape(-1)
    place = rows[:, None] * (-(-columns // 8) * 8) + np.arange(columns)[None, :]
    key = [place // 4, np.zeros_like(place), np.full_like(place, step),
           np.full_like(place, SEED ^ 0xC2B2AE35)]
    x, y, z, w = [(part.astype(np.uint32) * np.uint32(1664525)) + np.uint32(1013904223)
                  for part in key]

    def stir():
        nonlocal x, y, z, w
        x = x + y * w
        y = y + z * x
        z = z + x * y
        w = w + y * z

    stir()
    x, y, z, w = [part ^ (part >> np.uint32(16)) for part in (x, y, z, w)]
    stir()
    words = np.choose(place % 4, [x, y, z, w])
    return torch.from_numpy((words >> np.uint32(8)).astype(np.float32) / 2**24).reshape(shape)


def names_of(peft) -> dict:
    found = {}
    for key, parameter in peft.named_parameters():
        if parameter.requires_grad:
            name = key.replace(".default", "")
            found[name.removesuffix(".weight") if "magnitude" in name else name] = parameter
    return found


def make(name: str, base: str, ratio: float = 1.0, embedding_rate: float = 0.0,
         noise: float = 0.0, nf4: bool = False, clip: float = 0.0, lengths=(LENGTH,) * BATCHES,
         **options) -> None:
    path, folder = FIXTURES / "lora" / base, FOLDER / name
    torch.manual_seed(7)
    model = load(path, nf4)
    peft = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", lora_alpha=16, **options))
    generator = torch.Generator().manual_seed(3)
    for parameter in names_of(peft).values():
        parameter.data += 0.02 * torch.randn(parameter.shape, generator=generator)
    peft.save_pretrained(folder)
    (folder / "README.md").unlink()
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = base
    config["target_modules"].sort()  # a set, in another order each time
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
    saved = load_file(folder / "adapter_model.safetensors")
    assert set(names_of(peft)) <= set(saved), set(names_of(peft)) ^ set(saved)

    for key, parameter in names_of(peft).items():
        parameter.requires_grad_(not key.endswith(".bias"))

    settings = dict(lr=RATE, betas=(0.9, 0.999), eps=1e-3, weight_decay=0.0)
    if ratio == 1.0:
        optimizer = torch.optim.AdamW(names_of(peft).values(), **settings)
    else:
        optimizer = create_loraplus_optimizer(
            peft, torch.optim.AdamW, loraplus_lr_ratio=ratio,
            loraplus_lr_embedding=embedding_rate or 1e-6, **settings)
    step = 0
    if noise:
        activate_neftune(peft, noise)
        torch.Tensor.uniform_ = lambda self, low, high: self.copy_(
            low + (high - low) * uniform(self.shape, step))
    ids = torch.randint(VOCABULARY, (BATCHES, BATCH, LENGTH), generator=generator)
    labels = ids.clone()
    labels[:, 0, :4] = -100
    for batch, length in enumerate(lengths):
        ids[batch, :, length:], labels[batch, :, length:] = 0, -100
        if length < LENGTH:  # the other row is shorter than the longest
            ids[batch, 1, length - 3:], labels[batch, 1, length - 3:] = 0, -100
    peft.train()
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        batch, length = step % BATCHES, lengths[step % BATCHES]
        loss = peft(input_ids=ids[batch, :, :length], labels=labels[batch, :, :length]).loss
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(names_of(peft).values(), clip)
        optimizer.step()
        losses.append(loss.item())
    save_file({"input_ids": ids.int(), "labels": labels.int(), "losses": torch.tensor(losses),
               "lengths": torch.tensor(lengths).int(),
               **{f"final.{key}": value.detach().contiguous()
                  for key, value in names_of(peft).items()}},
              folder / "expected.safetensors")
    print(f"{name}: loss {losses[0]:.4f} to {losses[-1]:.4f}, {len(names_of(peft))} tensors")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for case in sys.argv[1:] or CASES:
        make(case, **CASES[case])
