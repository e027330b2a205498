"""Writes tests/fixtures/optimizer/stable_spam.safetensors: 24 steps of Stable-SPAM (Huang et al. 2025,
arXiv 2502.17055, section 3), in float64, by the paper's formulas, with torch.optim.AdamW.

    pip install torch safetensors
    python tests/golden/make_stable_spam.py

Matrices begin at zero; their moments are reset in steps 10 and 20. Kept are steps 6 and 24.
"""

from pathlib import Path

import torch
from optimizer_gradients import SHAPES, STEPS, gradient
from safetensors.torch import save_file

FILE = Path(__file__).parent.parent / "fixtures" / "optimizer" / "stable_spam.safetensors"
KEEP, RESET = (6, 24), 10
NORM, SQUARE, LARGEST, EPS = 0.7, 0.9, 0.999, 1e-8

tensors: dict[str, torch.Tensor] = {}
for name in ("wide", "tall", "odd"):
    parameter = torch.nn.Parameter(torch.zeros(SHAPES[name], dtype=torch.float64))
    optimizer = torch.optim.AdamW([parameter], lr=1e-2, eps=1e-3, weight_decay=0.1)
    threshold = mean = square = 0.0
    for step in range(1, STEPS + 1):
        g = gradient(SHAPES[name], step).to(torch.float64)
        # A spike, beside the large gradients of every fifth step.
        g[2, 3] *= 40 if step % 4 == 0 else 1
        largest = g.abs().max()
        threshold = LARGEST * threshold + (1 - LARGEST) * largest
        usual = threshold / (1 - LARGEST**step)
        g = torch.where(g.abs() > usual, g / largest * usual, g)
        norm = g.norm()
        mean = NORM * mean + (1 - NORM) * norm
        square = SQUARE * square + (1 - SQUARE) * norm**2
        g = g / norm * (mean / (1 - NORM**step)) / ((square / (1 - SQUARE**step)).sqrt() + EPS)
        if step % RESET == 0:
            optimizer.state.clear()
        parameter.grad = g
        optimizer.step()
        if step in KEEP:
            tensors[f"{step}.{name}"] = parameter.detach().to(torch.float32).clone()
save_file(tensors, FILE)
FILE.chmod(0o644)
