"""Writes tests/fixtures/muon/muon.safetensors with 20 steps of torch.optim.Muon.

    pip install torch safetensors
    python tests/golden/make_muon.py

For each shape the parameter, which began at zero, after steps 1, 5 and 20, twice: `float64` by the
package's code with its one rounding to bfloat16 taken out, `bfloat16` by the package as it is.
Gradients are made by integer arithmetic, so that the test makes the same ones. Rates are those that
match AdamW's updates (`adjust_lr_fn="match_rms_adamw"`).
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

SHAPES = [(24, 80), (96, 40), (33, 61), (64, 64), (1, 19)]
STEPS, KEEP = 20, (1, 5, 20)
FILE = Path(__file__).parent.parent / "fixtures" / "muon" / "muon.safetensors"


def gradient(shape: tuple[int, int], step: int) -> torch.Tensor:
    """A slowly turning matrix of rank 3 and noise that changes at each step, as float32."""
    rows, columns = shape
    i, j = torch.arange(rows)[:, None], torch.arange(columns)[None, :]
    total = torch.zeros(shape, dtype=torch.int64)
    for k in range(3):
        u = (i * (37 + k) + k * 101 + step // 7) % 29 - 14
        v = (j * (53 + k) + k * 211 + step // 5) % 31 - 15
        total += u * v
    noise = (i * 7919 + j * 104729 + step * 15485863) % 1009 - 504
    return (4 * total + noise).to(torch.float32) / 2**18


def run(shape: tuple[int, int], dtype: torch.dtype) -> dict[int, torch.Tensor]:
    parameter = torch.nn.Parameter(torch.zeros(shape, dtype=dtype))
    optimizer = torch.optim.Muon(
        [parameter], lr=1e-2, weight_decay=0, adjust_lr_fn="match_rms_adamw"
    )
    kept = {}
    for step in range(1, STEPS + 1):
        parameter.grad = gradient(shape, step).to(dtype)
        optimizer.step()
        if step in KEEP:
            kept[step] = parameter.detach().to(torch.float32).clone()
    return kept


tensors = {}
rounding = torch.Tensor.bfloat16
for shape in SHAPES:
    name = "x".join(map(str, shape))
    for label, dtype in (("float64", torch.float64), ("bfloat16", torch.float32)):
        # In float64 the iteration runs in the parameter's own format.
        torch.Tensor.bfloat16 = (lambda t: t.clone()) if label == "float64" else rounding
        for step, parameter in run(shape, dtype).items():
            tensors[f"{name}.{label}.{step}"] = parameter
save_file(tensors, FILE)
