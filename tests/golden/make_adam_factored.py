"""Writes tests/fixtures/adam/adam_factored.safetensors with a step of torch's Adafactor.

    pip install torch safetensors
    python tests/golden/make_adam_factored.py

In its first step Adafactor divides a gradient by the root of its own factored square, as Adam does
with bias correction. Without clipping, and for weights of mean square one, nothing else is in it.
Gradients are made by integer arithmetic, so that the test makes the same ones.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

ROWS, COLUMNS = 40, 261

i = torch.arange(ROWS * COLUMNS, dtype=torch.int64)
row, column = i // COLUMNS, i % COLUMNS
gradient = ((i * 2654435761 % 2**32 >> 8).double() / 2**23 - 1) * 2.0 ** -(row % 9 + column % 5)
parameter = torch.nn.Parameter(torch.ones(ROWS, COLUMNS, dtype=torch.float64))
optimizer = torch.optim.Adafactor([parameter], lr=1.0, d=1e9, weight_decay=0, eps=(1e-38, 1e-3))
parameter.grad = gradient.reshape(ROWS, COLUMNS)
optimizer.step()
update = (parameter.detach() - 1).float()
target = Path(__file__).parent.parent / "fixtures" / "adam" / "adam_factored.safetensors"
save_file({"update": update}, target, {"torch": torch.__version__})
target.chmod(0o644)
