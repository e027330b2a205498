"""Writes tests/fixtures/optimizer/clipping.safetensors: 24 steps of torch.optim.AdamW with
torch.nn.utils.clip_grad_norm_, in float64.

    pip install torch safetensors
    python tests/golden/make_clipping.py

Parameters begin at zero. `step` clips the gradients of all of them together, `matrix` each by itself;
for both the parameters after steps 6 and 24, and the norm of all gradients before each step.
"""

from pathlib import Path

import torch
from optimizer_gradients import SHAPES, STEPS, gradient
from safetensors.torch import save_file

FILE = Path(__file__).parent.parent / "fixtures" / "optimizer" / "clipping.safetensors"
KEEP = (6, 24)
MOST = 1.0

tensors = {}
for mode in ("step", "matrix"):
    parameters = {
        name: torch.nn.Parameter(torch.zeros(shape, dtype=torch.float64))
        for name, shape in SHAPES.items()
    }
    optimizer = torch.optim.AdamW(parameters.values(), lr=1e-2, eps=1e-3, weight_decay=0.1)
    norms = []
    for step in range(1, STEPS + 1):
        for name, parameter in parameters.items():
            parameter.grad = gradient(SHAPES[name], step).to(torch.float64)
        norms.append(torch.nn.utils.get_total_norm(p.grad for p in parameters.values()))
        if mode == "step":
            torch.nn.utils.clip_grad_norm_(parameters.values(), MOST)
        else:
            for parameter in parameters.values():
                torch.nn.utils.clip_grad_norm_([parameter], MOST)
        optimizer.step()
        if step in KEEP:
            for name, parameter in parameters.items():
                tensors[f"{mode}.{step}.{name}"] = parameter.detach().to(torch.float32).clone()
    tensors["norms"] = torch.stack(norms).to(torch.float32)
FILE.parent.mkdir(parents=True, exist_ok=True)
save_file(tensors, FILE)
print(tensors["norms"])
