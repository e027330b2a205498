"""Loads a model folder as a user of transformers would, and fails on any warning.

    python tests/interop/load_folder.py <folder>        (torch, transformers)

Prints as JSON what was loaded: the configuration, and the ids of a text if there is a tokenizer.
"""
import json
import logging
import sys
import warnings
from pathlib import Path

folder = Path(sys.argv[1])
TEXT = "naïve café — 漢字 🙂\n\n  <|endoftext|> x"


class Complaints(logging.Handler):
    seen: list[str] = []

    def emit(self, record):
        self.seen.append(record.getMessage())


import transformers  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig  # noqa: E402

logging.getLogger("transformers").addHandler(Complaints(logging.WARNING))
loaded = {"transformers": transformers.__version__}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    config = AutoConfig.from_pretrained(folder)
    loaded["config"] = config.to_dict()
    loaded["generation"] = GenerationConfig.from_pretrained(folder).to_dict()
    if (folder / "tokenizer.json").exists():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        ids = tokenizer(TEXT)["input_ids"]
        loaded |= {"text": TEXT, "ids": ids, "decoded": tokenizer.decode(ids),
                   "vocab_size": len(tokenizer), "eos": tokenizer.eos_token_id}
    if list(folder.glob("model*.safetensors")):
        _, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
        loaded["loading"] = {kind: sorted(map(str, names)) for kind, names in report.items()}
complaints = Complaints.seen + [str(warning.message) for warning in caught]
print(json.dumps(loaded, indent=1, default=str))
if complaints:
    sys.exit("warnings: " + "; ".join(complaints))
