"""Gradients by integer arithmetic, so that a test makes the same ones."""

import torch

STEPS = 24
SHAPES = {"wide": (24, 64), "tall": (64, 24), "odd": (61, 37), "vector": (19,)}


def gradient(shape: tuple[int, ...], step: int) -> torch.Tensor:
    """A slowly turning matrix of rank 3, and noise that changes at each step; large every fifth."""
    rows, columns = shape if len(shape) == 2 else (1, *shape)
    i, j = torch.arange(rows)[:, None], torch.arange(columns)[None, :]
    total = torch.zeros((rows, columns), dtype=torch.int64)
    for k in range(3):
        u = (i * (37 + k) + k * 101 + step // 7) % 29 - 14
        v = (j * (53 + k) + k * 211 + step // 5) % 31 - 15
        total += (3 - k) * u * v
    noise = (i * 7919 + j * 104729 + step * 15485863) % 1009 - 504
    size = 16 if step % 5 == 0 else 1
    return (size * (4 * total + noise)).reshape(shape).to(torch.float32) / 2**18
