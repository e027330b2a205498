"""Writes tests/fixtures/low_rank: LoRA and ReLoRA from random weights, and W = B·A, trained by torch.

    pip install torch transformers safetensors
    python tests/golden/make_low_rank.py [case ...]

The model is tests/fixtures/lora/odd. Of each case a file: input_ids (batches, B, T), which steps take
in turn, `initial.*`, the factors that a run begins with, losses (steps), and `final.*`: every tensor of
the whole model after the last step, with adapters merged in float64. Everything is trained but the
matrices that have adapters; the optimizer is torch's AdamW, one for each tensor, so that a restart
can begin the moments of the adapters, and the correction of their bias, anew. What a restart draws
comes from the trainer's counters: PCG4D (Jarzynski & Olano 2020) by seed, step, tensor and element,
and Box & Muller's numbers.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy
from torch.nn.utils import parametrize
from transformers import AutoModelForCausalLM

FIXTURES = Path(__file__).parents[1] / "fixtures"
FOLDER = FIXTURES / "low_rank"
STEPS, BATCHES, BATCH, LENGTH, VOCABULARY = 24, 4, 2, 16, 61
RATE, SEED, RESTARTS_SALT, RANK, ALPHA = 0.01, 42, 0xD3A2646C, 6, 16
MODULES = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
           "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]

CASES = {
    "lora": dict(),
    # After the first restart 3 steps of warm-up, and two restarts.
    "relora": dict(restart_steps=8, restart_warmup=3),
    "low_rank": dict(alone=True),
}


def normal(shape, step: int, tensor: int) -> torch.Tensor:
    """The standard normal numbers of an (R, in) matrix whose rows are padded to eighths."""
    rows, columns = shape
    padded = -(-columns // 8) * 8
    quad = np.arange(rows * padded // 4)
    x, y, z, w = [(np.broadcast_to(np.asarray(part), quad.shape).astype(np.uint32)
                   * np.uint32(1664525)) + np.uint32(1013904223)
                  for part in (quad, tensor, step, SEED ^ RESTARTS_SALT)]

    def stir(x, y, z, w):
        x = x + y * w
        y = y + z * x
        z = z + x * y
        w = w + y * z
        return x, y, z, w

    x, y, z, w = [part ^ (part >> np.uint32(16)) for part in stir(x, y, z, w)]
    u = [(part >> np.uint32(8)).astype(np.float64) / 2**24 for part in stir(x, y, z, w)]
    values = np.empty((len(quad), 4))
    for half in (0, 2):
        radius, angle = np.sqrt(-2 * np.log(1 - u[half])), 2 * np.pi * u[half + 1]
        values[:, half], values[:, half + 1] = radius * np.cos(angle), radius * np.sin(angle)
    return torch.from_numpy(values.reshape(rows, padded)[:, :columns].astype(np.float32))


class Product(torch.nn.Module):
    """W + s·B·A, or the product alone."""

    def __init__(self, a: torch.Tensor, b: torch.Tensor, scale: float, alone: bool):
        super().__init__()
        self.a, self.b = torch.nn.Parameter(a), torch.nn.Parameter(b)
        self.scale, self.alone = scale, alone

    def forward(self, weight):
        product = self.scale * self.b @ self.a
        return product if self.alone else weight + product


def factor(done: int, warmup: int) -> float:
    """A constant rate, with the steps after a restart as in ReLoRA's code."""
    return done / warmup if done < warmup else 1.0


def make(name: str, restart_steps: int = 0, restart_warmup: int = 0, alone: bool = False) -> None:
    model = AutoModelForCausalLM.from_pretrained(FIXTURES / "lora" / "odd", dtype=torch.float32)
    generator = torch.Generator().manual_seed(5)
    parameters = len(list(model.parameters()))
    products, saved = {}, {}
    for layer, block in enumerate(model.model.layers):
        for module in MODULES:
            linear = block.get_submodule(module)
            out, inner = linear.weight.shape
            if alone:
                a = 0.1 * torch.randn(RANK, inner, generator=generator)
                b = 0.1 * torch.randn(out, RANK, generator=generator)
            else:
                a = (2 * torch.rand(RANK, inner, generator=generator) - 1) / inner**0.5
                b = torch.zeros(out, RANK)
            key = f"model.layers.{layer}.{module}"
            saved[f"initial.base_model.model.{key}.lora_A.weight"] = a.clone()
            saved[f"initial.base_model.model.{key}.lora_B.weight"] = b.clone()
            product = Product(a, b, 1.0 if alone else ALPHA / RANK, alone)
            linear.weight.requires_grad_(False)
            parametrize.register_parametrization(linear, "weight", product)
            products[key] = product, linear
    trained = [each for each in model.parameters() if each.requires_grad]

    def adam(parameter):
        return torch.optim.AdamW([parameter], lr=RATE, betas=(0.9, 0.999), eps=1e-3,
                                 weight_decay=0.0)

    optimizers = {parameter: adam(parameter) for parameter in trained}
    ids = torch.randint(VOCABULARY, (BATCHES, BATCH, LENGTH + 1), generator=generator)
    losses = []
    for done in range(STEPS):
        rate, since = RATE, done % restart_steps if restart_steps else done
        if restart_steps and done and since == 0:
            for index, (product, linear) in enumerate(products.values()):
                with torch.no_grad():
                    original = linear.parametrizations.weight.original
                    original += product.scale * product.b @ product.a
                    shape = product.a.shape
                    # A's place among all: adapters come last, A before B.
                    drawn = normal(shape, done + 1, parameters + 2 * index)
                    product.a.copy_(drawn / (3 * shape[1])**0.5)
                    product.b.zero_()
                for part in (product.a, product.b):
                    optimizers[part] = adam(part)
        if restart_steps and done >= restart_steps:
            rate *= factor(since, restart_warmup)
        batch = ids[done % BATCHES]
        logits = model(input_ids=batch[:, :-1]).logits
        loss = cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        model.zero_grad()
        loss.backward()
        for optimizer in optimizers.values():
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
        losses.append(loss.item())
    for key, (product, linear) in products.items():
        base = 0 if alone else linear.parametrizations.weight.original.double()
        whole = base + product.scale * product.b.double() @ product.a.double()
        saved[f"final.{key}.weight"] = whole.float()
    for key, parameter in model.named_parameters():
        if "parametrizations" not in key:
            saved[f"final.{key}"] = parameter
    saved = {key: value.detach().contiguous() for key, value in saved.items()}
    save_file({"input_ids": ids.int(), "losses": torch.tensor(losses), **saved},
              FOLDER / f"{name}.safetensors")
    print(f"{name}: loss {losses[0]:.4f} to {losses[-1]:.4f}")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for case in sys.argv[1:] or CASES:
        make(case, **CASES[case])
