"""Writes tests/fixtures/optimizer/fira.safetensors: 24 steps of Fira with Adam (Chen et al. 2024,
arXiv 2410.01623, algorithm 1), in float64. ε is added as in torch's Adam, to the root of the corrected
second moment; the algorithm adds it before the correction, which makes it larger in the first steps.

    pip install torch safetensors
    python tests/golden/make_fira.py

Matrices begin at zero. `plain` is Fira after steps 6 and 24, `clipped` after step 24 with each gradient
clipped by torch.nn.utils.clip_grad_norm_ before it is projected. `basis` are the projections, rows, of
the steps from 1, 9 and 17 on: the leading singular vectors of these steps' gradients. `limited` is 1 in
the steps in which the limiter acts.
"""

from pathlib import Path

import torch
from optimizer_gradients import SHAPES, STEPS, gradient
from safetensors.torch import save_file

FILE = Path(__file__).parent.parent / "fixtures" / "optimizer" / "fira.safetensors"
RANK, REFRESH, KEEP = 5, (1, 9, 17), (6, 24)
BETA1, BETA2, EPS, DECAY, ALPHA, GAMMA = 0.9, 0.999, 1e-3, 0.1, 0.25, 1.01


def rate(step: int) -> float:
    """A warm-up from zero, as of schedules: the limiter must not take it for growth."""
    return 0.01 * min(step - 1, 4) / 4


def basis(g: torch.Tensor) -> torch.Tensor:
    """The leading singular vectors of the shorter side, as float32."""
    u, _, vh = torch.linalg.svd(g, full_matrices=False)
    rows = vh[:RANK] if g.shape[0] >= g.shape[1] else u[:, :RANK].T
    return rows.to(torch.float32).contiguous()


def run(name: str, clips: bool) -> tuple[dict[int, torch.Tensor], list[int]]:
    shape = SHAPES[name]
    right = shape[0] >= shape[1]
    w = torch.zeros(shape, dtype=torch.float64)
    m = v = last = None
    kept, limited = {}, []
    for step in range(1, STEPS + 1):
        g = gradient(shape, step).to(torch.float64)
        if step in REFRESH:
            tensors[f"basis.{step}.{name}"] = basis(g)
            p = tensors[f"basis.{step}.{name}"].to(torch.float64)
        if clips:
            parameter = torch.nn.Parameter(w)
            parameter.grad = g
            torch.nn.utils.clip_grad_norm_([parameter], 1.0)
            g = parameter.grad
        r = g @ p.T if right else p @ g
        m = (1 - BETA1) * r if m is None else BETA1 * m + (1 - BETA1) * r
        v = (1 - BETA2) * r**2 if v is None else BETA2 * v + (1 - BETA2) * r**2
        n = m / (1 - BETA1**step) / ((v / (1 - BETA2**step)).sqrt() + EPS)
        channel = 1 if right else 0
        phi = n.norm(dim=channel, keepdim=True) / (r.norm(dim=channel, keepdim=True) + 1e-8)
        s = phi * (g - (r @ p if right else p.T @ r))
        limit = None if last is None else GAMMA * last
        limited.append(int(limit is not None and s.norm() > limit))
        if limited[-1]:
            s = s / s.norm() * limit
        last = s.norm()
        lr = rate(step)
        w = (1 - lr * DECAY) * w - lr * ALPHA * ((n @ p if right else p.T @ n) + s)
        if step in KEEP:
            kept[step] = w.to(torch.float32)
    return kept, limited


tensors: dict[str, torch.Tensor] = {}
for name in ("wide", "tall", "odd"):
    for kind, clips, steps in (("plain", False, KEEP), ("clipped", True, (STEPS,))):
        kept, limited = run(name, clips)
        assert 0 < sum(limited) < STEPS - 1, f"{kind} {name}: {limited}"
        tensors[f"limited.{kind}.{name}"] = torch.tensor(limited, dtype=torch.float32)
        for step in steps:
            tensors[f"{kind}.{step}.{name}"] = kept[step]
save_file(tensors, FILE)
FILE.chmod(0o644)
