"""Writes tests/fixtures/adam/adam_mini.safetensors with steps of the authors' Adam-mini.

    pip install torch adam-mini safetensors
    python tests/golden/make_adam_mini.py

An embedding's rule, which is the head's too: one second moment a token. The package keeps the first
moment in float32, this project in 8 bits. Gradients are made by integer arithmetic, so that the test
makes the same ones. Kept: after steps 1, 5 and 25 the parameter (which began at zero) and the second
moments.
"""

from pathlib import Path

import torch
from adam_mini import Adam_mini
from safetensors.torch import save_file

ROWS, COLUMNS, STEPS = 12, 261, 25  # a row has a block of 256 and a piece of one
KEEP = (1, 5, 25)


def gradient(step: int) -> torch.Tensor:
    """Row r is there in every (r + 1)-th step from the first on; its size falls by half with r."""
    i = torch.arange(ROWS * COLUMNS, dtype=torch.int64)
    row = i // COLUMNS
    slow = (i * 2654435761 + (step // 8) * 40503 + 12345) % 2**32
    fast = (i * 2246822519 + step * 3266489917 + 374761393) % 2**32
    mixed = (slow // 2 + fast // 2) >> 8
    there = ((step - 1) % (row + 1) == 0).to(torch.float32)
    centred = mixed.to(torch.float32) / 2.0**23 - 1.0
    return (centred * there * 2.0 ** -row.to(torch.float32)).reshape(ROWS, COLUMNS)


def main() -> None:
    parameter = torch.nn.Parameter(torch.zeros(ROWS, COLUMNS))
    optimizer = Adam_mini(
        [("embed_tokens", parameter)], lr=1e-3, betas=(0.9, 0.999), eps=1e-8, verbose=False
    )
    kept = {}
    for step in range(1, STEPS + 1):
        parameter.grad = gradient(step)
        optimizer.step()
        if step in KEEP:
            kept[f"parameter.{step}"] = parameter.detach().clone()
            kept[f"v.{step}"] = optimizer.state[parameter]["vmean"].flatten().clone()
    target = Path(__file__).parent.parent / "fixtures" / "adam" / "adam_mini.safetensors"
    save_file(kept, target, {"adam-mini": "1.1.1", "torch": torch.__version__})


if __name__ == "__main__":
    main()
