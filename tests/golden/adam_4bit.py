"""Writes tests/fixtures/adam/adam_4bit.safetensors with torchao's AdamW4bit.

    pip install torch torchao safetensors
    python tests/golden/adam_4bit.py

torchao stores moments as Li et al. 2023 do in their configuration `2nd_moment_group_128`: m by the
signed dynamic map, v by sixteenths without zero, both relative to the maximum of 128 elements. Ours are
other codes of the same size; kept is the parameter (which began at zero) after 25 steps, as what they
must come nearer to Adam than.
"""

from pathlib import Path

import torch
import torchao
from safetensors.torch import save_file
from torchao.optim import AdamW4bit

from adam_gradients import gradient

ROWS, COLUMNS, STEPS = 32, 144, 25  # 36 blocks of 128, which begin and end inside rows


def main() -> None:
    torch.compiler.set_stance("force_eager")
    parameter = torch.nn.Parameter(torch.zeros(ROWS, COLUMNS))
    optimizer = AdamW4bit([parameter], lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    for step in range(1, STEPS + 1):
        parameter.grad = gradient(step, ROWS, COLUMNS)
        optimizer.step()
    target = Path(__file__).parent.parent / "fixtures" / "adam" / "adam_4bit.safetensors"
    versions = {"torchao": torchao.__version__, "torch": torch.__version__}
    save_file({"parameter": parameter.detach().clone()}, target, versions)


if __name__ == "__main__":
    main()
