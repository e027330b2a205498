"""Learning rates by transformers' schedulers: writes tests/fixtures/schedules/rates.json."""

import json
import pathlib

import torch
import transformers

CASES = [
    # scheduler, lr, steps, warm-up steps, minimum as a share of lr
    ("cosine", 0.01, 20, 4, 0.1),
    ("cosine", 0.01, 20, 0, 0.0),
    ("cosine", 0.005, 7, 7, 0.25),
    ("linear", 0.01, 20, 4, 0.0),
    ("linear", 1.0, 3, 0, 0.0),
    ("constant", 0.001, 9, 3, 0.1),
]


def scheduler_of(name, optimizer, steps, warmup, minimum):
    if name == "cosine":
        return transformers.get_cosine_with_min_lr_schedule_with_warmup(
            optimizer, warmup, steps, min_lr_rate=minimum
        )
    if name == "linear":
        return transformers.get_linear_schedule_with_warmup(optimizer, warmup, steps)
    return transformers.get_constant_schedule_with_warmup(optimizer, warmup)


def rates(name, lr, steps, warmup, minimum):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = scheduler_of(name, optimizer, steps, warmup, minimum)
    used = []
    for _ in range(steps):
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return used


if __name__ == "__main__":
    golden = {
        "transformers": transformers.__version__,
        "cases": [
            {
                "scheduler": name,
                "lr": lr,
                "steps": steps,
                "warmupSteps": warmup,
                "minLrRatio": minimum,
                "rates": rates(name, lr, steps, warmup, minimum),
            }
            for name, lr, steps, warmup, minimum in CASES
        ],
    }
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "schedules" / "rates.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(golden, indent=1) + "\n")
