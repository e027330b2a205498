"""Writes tests/fixtures/formats: every element type and a sharded folder, by the reference library.

    python tests/golden/make_safetensors.py        (torch, safetensors)
"""
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

FOLDER = Path(__file__).parent.parent / "fixtures" / "formats"
(FOLDER / "sharded").mkdir(parents=True, exist_ok=True)

REAL = [0.0, -0.0, 1.0, -2.5, 6.1e-5, 5.96e-8, 65504.0, float("inf"), float("-inf"), float("nan")]
tensors = {name: torch.tensor(REAL, dtype=getattr(torch, name))
           for name in ("float64", "float32", "float16", "bfloat16")}
for name in ("uint64", "int64", "uint32", "int32", "uint16", "int16", "uint8", "int8"):
    info = torch.iinfo(getattr(torch, name))
    tensors[name] = torch.tensor([[info.min, 0, 1], [2, 100, info.max]], dtype=getattr(torch, name))
tensors["bool"] = torch.tensor([True, False, True])
tensors["scalar"] = torch.tensor(1.5)
tensors["empty"] = torch.zeros(0, 3)
save_file(tensors, FOLDER / "all_types.safetensors", {"made by": "safetensors, ünïcode"})

values = {name: [str(v) for v in tensor.to(torch.float32).flatten().tolist()]
          for name, tensor in tensors.items()}
(FOLDER / "all_types.json").write_text(json.dumps(values, indent=1) + "\n")

shards = {"model-00001-of-00002.safetensors": {"a": torch.arange(6.0).reshape(2, 3)},
          "model-00002-of-00002.safetensors": {"b": torch.tensor([7, 8]), "c": torch.ones(1)}}
weight_map = {}
for file, held in shards.items():
    save_file(held, FOLDER / "sharded" / file)
    weight_map |= {name: file for name in held}
index = {"metadata": {"total_size": 44}, "weight_map": weight_map}
(FOLDER / "sharded" / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")
