"""Writes tests/fixtures/adam/adam_4bit.safetensors with torchao's AdamW4bit.

    pip install torch torchao safetensors
    python tests/golden/adam_4bit.py

torchao stores moments as Li et al. 2023 do in their configuration `2nd_moment_group_128`: m by the
signed dynamic map, v by sixteenths without zero, both relative to the maximum of 128 elements.
Gradients are made by integer arithmetic, so that the test makes the same ones. Kept: the two maps, and
after steps 1, 5 and 25 the parameter (which began at zero), a code an element, and the maxima.
"""

from pathlib import Path

import torch
import torchao
from safetensors.torch import save_file
from torchao.optim import AdamW4bit

from adam_gradients import gradient

ROWS, COLUMNS, STEPS = 32, 144, 25  # 36 blocks of 128, which begin and end inside rows
KEEP = (1, 5, 25)


def main() -> None:
    torch.compiler.set_stance("force_eager")
    parameter = torch.nn.Parameter(torch.zeros(ROWS, COLUMNS))
    optimizer = AdamW4bit([parameter], lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    kept = {}
    for step in range(1, STEPS + 1):
        parameter.grad = gradient(step, ROWS, COLUMNS)
        optimizer.step()
        state = optimizer.state[parameter]
        m, v = state["exp_avg"], state["exp_avg_sq"]
        if step == 1:
            kept["signed_map"], kept["unsigned_map"] = m.qmap.clone(), v.qmap.clone()
        if step in KEEP:
            kept[f"parameter.{step}"] = parameter.detach().clone()
            for name, moment in (("m", m), ("v", v)):
                codes = torch.stack([moment.codes >> 4, moment.codes & 15], dim=-1)
                kept[f"{name}.{step}"] = codes.reshape(ROWS, COLUMNS).clone()
                kept[f"absmax_{name}.{step}"] = moment.scale.clone()
    target = Path(__file__).parent.parent / "fixtures" / "adam" / "adam_4bit.safetensors"
    save_file(kept, target, {"torchao": torchao.__version__, "torch": torch.__version__})


if __name__ == "__main__":
    main()
