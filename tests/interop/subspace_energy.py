"""Share of the exact SVD's energy that the device's subspaces capture; see subspace_energy.ts.

    pip install torch safetensors
"""

import sys

import torch
from safetensors.torch import load_file


def main(gradients: str, bases: str) -> None:
    gradient_of, basis_of = load_file(gradients), load_file(bases)
    shares = []
    for name, basis in sorted(basis_of.items()):
        gradient, basis = gradient_of[name].double(), basis.double()
        right = gradient.shape[0] >= gradient.shape[1]
        projected = gradient @ basis.T if right else basis @ gradient
        singular = torch.linalg.svdvals(gradient)
        exact = (singular[: basis.shape[0]] ** 2).sum()
        shares.append(((projected**2).sum() / exact).item())
        off = (basis @ basis.T - torch.eye(basis.shape[0])).abs().max().item()
        total = (exact / (singular**2).sum()).item()
        print(f"{name}: {shares[-1]:.5f} of the SVD's, which is {total:.3f} of all; orthonormal to {off:.1e}")
    print(f"least {min(shares):.5f}, mean {sum(shares) / len(shares):.5f}, of {len(shares)} matrices")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
