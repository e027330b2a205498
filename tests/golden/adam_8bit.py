"""Writes tests/fixtures/adam/adam_8bit.safetensors with bitsandbytes' 8-bit block-wise Adam.

    pip install torch bitsandbytes safetensors triton
    TORCH_COMPILE_DISABLE=1 python tests/golden/adam_8bit.py

It calls the package's plain PyTorch implementation, whose codes are the nearest ones, as those of
its CUDA kernels are. (Its processor kernels round through a coarse lookup: they store 0 as 7.75e-6.)
Gradients are made by integer arithmetic, so that the test makes the same ones. Kept: the two maps,
and after steps 1, 5 and 25 the parameter (which began at zero), the codes and the absolute maxima.
"""

from pathlib import Path

import bitsandbytes as bnb
import torch
from bitsandbytes.backends.triton.kernels_optim import optimizer_update_8bit_blockwise_pytorch
from safetensors.torch import save_file

from adam_gradients import gradient

ROWS, COLUMNS, STEPS = 33, 136, 25  # 4,488 elements: 17 blocks and a piece of one
KEEP = (1, 5, 25)


def main() -> None:
    signed = bnb.functional.create_dynamic_map(signed=True)
    unsigned = bnb.functional.create_dynamic_map(signed=False)
    parameter = torch.zeros(ROWS, COLUMNS)
    m = torch.zeros(ROWS, COLUMNS, dtype=torch.uint8)
    v = torch.zeros_like(m)
    blocks = -(-parameter.numel() // 256)
    absmax_m, absmax_v = torch.zeros(blocks), torch.zeros(blocks)
    kept = {"signed_map": signed, "unsigned_map": unsigned}
    for step in range(1, STEPS + 1):
        optimizer_update_8bit_blockwise_pytorch(
            parameter, gradient(step, ROWS, COLUMNS), m, v, 0.9, 0.999, 0.0, 0.0, 1e-8, step, 1e-3,
            signed, unsigned, absmax_m, absmax_v, 0.0, 1.0, False, optimizer_name="adam",
        )
        if step in KEEP:
            kept[f"parameter.{step}"] = parameter.clone()
            kept[f"m.{step}"], kept[f"v.{step}"] = m.clone(), v.clone()
            kept[f"absmax_m.{step}"] = absmax_m.clone()
            kept[f"absmax_v.{step}"] = absmax_v.clone()
    target = Path(__file__).parent.parent / "fixtures" / "adam" / "adam_8bit.safetensors"
    save_file(kept, target, {"bitsandbytes": bnb.__version__, "torch": torch.__version__})


if __name__ == "__main__":
    main()
