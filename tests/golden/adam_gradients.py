"""Gradients made by integer arithmetic, so that tests make the same ones."""

import torch


def gradient(step: int, rows: int, columns: int) -> torch.Tensor:
    """Magnitudes over four decades, some zero; the direction of an element stays for a while."""
    i = torch.arange(rows * columns, dtype=torch.int64)
    slow = (i * 2654435761 + (step // 8) * 40503 + 12345) % 2**32
    fast = (i * 2246822519 + step * 3266489917 + 374761393) % 2**32
    mixed = (slow // 2 + fast // 2) >> 8
    decade = torch.tensor([1.0, 0.1, 0.01, 0.001, 0.0], dtype=torch.float32)[(slow >> 3) % 5]
    centred = mixed.to(torch.float32) / 2.0**23 - 1.0
    return (centred * decade).reshape(rows, columns)
