"""Writes tests/fixtures/apollo/{apollo,scale}.safetensors: 24 steps of APOLLO and of SCALE in float64.

    pip install torch safetensors
    python tests/golden/make_apollo.py

Written from the papers, arXiv 2412.05270 (algorithm 1) and 2506.16659 (algorithm 1), with torch's
norms. APOLLO's projection comes from this project's counters, whose definition (PCG4D: Jarzynski &
Olano 2020; Box & Muller 1958) is implemented again here in numpy: `omega.*` are its values for some
epochs. Its Adam is torch.optim.Adam on the low-rank gradient, whose step is divided by the correction
of the bias, as the limiter wants it. For each shape the parameter, which began at zero, after steps 8
and 24; another projection is drawn every 10 steps. Gradients are made by integer arithmetic, so that
the test makes the same ones.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

SHAPES = [(64, 24), (24, 64), (61, 37), (48, 48)]
STEPS, KEEP, GAP, RANK = 24, (8, 24), 10, 8
SEED, TENSOR, SALT = 42, 5, 0x165667B1
LR, BETA1, BETA2, EPS, GROWTH = 1e-2, 0.9, 0.999, 1e-3, 1.01
FOLDER = Path(__file__).parent.parent / "fixtures" / "apollo"


def gradient(shape: tuple[int, int], step: int) -> torch.Tensor:
    """A slowly turning matrix of rank 3, noise, rows of other sizes, and a jump in step 13."""
    rows, columns = shape
    i, j = torch.arange(rows)[:, None], torch.arange(columns)[None, :]
    total = torch.zeros(shape, dtype=torch.int64)
    for k in range(3):
        u = (i * (37 + k) + k * 101 + step // 7) % 29 - 14
        v = (j * (53 + k) + k * 211 + step // 5) % 31 - 15
        total += u * v
    noise = (i * 7919 + j * 104729 + step * 15485863) % 1009 - 504
    size = (1 + i % 5) * (5 if step == 13 else 1)
    return ((4 * total + noise) * size).to(torch.float64) / 2**18


def random_bits(seed: int, step: int, tensor: int, element: np.ndarray) -> list[np.ndarray]:
    """PCG4D of (element, tensor, step, seed), in 32 bits."""
    mask = np.uint64(0xFFFFFFFF)
    fill = lambda value: np.full_like(element, value)
    v = [element, fill(tensor), fill(step), fill(seed)]
    v = [(x * np.uint64(1664525) + np.uint64(1013904223)) & mask for x in v]

    def turn(v: list[np.ndarray]) -> None:
        for to, a, b in ((0, 1, 3), (1, 2, 0), (2, 0, 1), (3, 1, 2)):
            v[to] = (v[to] + ((v[a] * v[b]) & mask)) & mask

    turn(v)
    v = [x ^ (x >> np.uint64(16)) for x in v]
    turn(v)
    return v


def omega(rank: int, dimensions: int, epoch: int) -> torch.Tensor:
    """(rank, dimensions) of N(0, 1/rank): four numbers to a counter, rows padded to eight."""
    stride = -(-dimensions // 8) * 8
    quads = np.arange(rank * stride // 4, dtype=np.uint64)
    bits = random_bits(SEED ^ SALT, epoch, TENSOR, quads)
    u = [(x >> np.uint64(8)).astype(np.float64) / 2**24 for x in bits]
    radius = [np.sqrt(-2 * np.log(1 - u[k])) for k in (0, 2)]
    angle = [2 * np.pi * u[k] for k in (1, 3)]
    four = [radius[k] * turn(angle[k]) for k in (0, 1) for turn in (np.cos, np.sin)]
    values = np.stack(four, axis=1).reshape(rank, stride)[:, :dimensions]
    return torch.from_numpy(values / np.sqrt(rank))


def apollo(shape: tuple[int, int], rank: int, granularity: str, scale: float):
    m, n = shape
    tall = m >= n
    weight = torch.zeros(shape, dtype=torch.float64)
    low = torch.zeros((rank, max(shape)), dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([low], lr=1, betas=(BETA1, BETA2), eps=EPS)
    last = None
    for step in range(1, STEPS + 1):
        g = gradient(shape, step)
        projection = omega(rank, min(shape), (step - 1) // GAP)
        r = projection @ (g.T if tall else g)
        with torch.no_grad():
            low.zero_()
        low.grad = r.clone()
        adam.step()
        correction = (1 - BETA2**step) ** 0.5 / (1 - BETA1**step)
        update = low.detach() / correction
        if granularity == "channel":
            s = update.norm(dim=0) / (r.norm(dim=0) + 1e-8)
            scaled = g * (s[:, None] if tall else s[None, :])
        else:
            scaled = g * (update.norm() / (r.norm() + 1e-8))
        norm = scaled.norm()
        if last is not None and norm > GROWTH * last:
            scaled *= GROWTH * last / norm
        last = scaled.norm()
        weight -= LR * correction * scale**0.5 * scaled
        if step in KEEP:
            yield step, weight.clone()


def scale_rule(shape: tuple[int, int], dim: int, momentum: float):
    weight = torch.zeros(shape, dtype=torch.float64)
    average = torch.zeros(shape, dtype=torch.float64)
    for step in range(1, STEPS + 1):
        average = momentum * average + (1 - momentum) * gradient(shape, step)
        rms = average.square().mean(dim=dim, keepdim=True).sqrt().clamp_min(1e-8)
        weight -= LR * average / rms
        if step in KEEP:
            yield step, weight.clone()


FOLDER.mkdir(exist_ok=True)
tensors = {f"omega.{epoch}": omega(RANK, 37, epoch).float() for epoch in range(3)}
for shape in SHAPES:
    name = "x".join(map(str, shape))
    for label, rank, granularity, scale in (
        ("apollo", RANK, "channel", 1.0),
        ("apollo_mini", 1, "tensor", 128.0),
    ):
        for step, weight in apollo(shape, rank, granularity, scale):
            tensors[f"{label}.{name}.{step}"] = weight.float()
save_file(tensors, FOLDER / "apollo.safetensors")

tensors = {}
for shape in SHAPES:
    name = "x".join(map(str, shape))
    for label, dim, momentum in (
        ("scale", 1, 0.0),
        ("scale_embedding", 0, 0.0),
        ("scale_head", 1, 0.9),
    ):
        for step, weight in scale_rule(shape, dim, momentum):
            tensors[f"{label}.{name}.{step}"] = weight.float()
save_file(tensors, FOLDER / "scale.safetensors")
