"""Writes tests/fixtures/optimizer_names.json: the `optim` values of transformers' TrainingArguments.

    pip install torch transformers
    python tests/golden/make_optimizer_names.py
"""

import json
from pathlib import Path

import transformers
from transformers.training_args import OptimizerNames

FILE = Path(__file__).parent.parent / "fixtures" / "optimizer_names.json"
names = [name.value for name in OptimizerNames]
FILE.write_text(json.dumps({"transformers": transformers.__version__, "names": names}) + "\n")
