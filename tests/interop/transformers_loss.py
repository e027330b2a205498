"""The loss that transformers gets of a model and a text, beside what `eval` prints.

    pip install torch transformers peft
    deno run -A cli.ts eval --model runs/demo/model --data held-out.txt --seq-len 128 --json
    python tests/interop/transformers_loss.py runs/demo/model held-out.txt 128 [adapter]

With an adapter, peft puts it on the model, as `eval --adapter` does. A model without a tokenizer has
that of the adapter's folder, or bytes. The text is cut as `eval` cuts one document: rows of T
tokens, each predicting the next one. Fails where weights of model or adapter are missing or left
over.
"""

import sys
import warnings
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def token_ids(text: str, *folders: str) -> list[int]:
    for folder in folders:
        if (Path(folder) / "tokenizer.json").exists():
            tokenizer = AutoTokenizer.from_pretrained(folder)
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            end = tokenizer.eos_token_id
            return ids if end is None else [*ids, end]
    return [*text.encode(), 256]


def load(folder: str, adapter: str | None):
    model, report = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    if any(report.values()):
        sys.exit(f"{folder}: {report}")
    if adapter is None:
        return model
    from peft import PeftModel

    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*(missing|unexpected).*")
        return PeftModel.from_pretrained(model, adapter)


def main(folder: str, text: str, length: int, adapter: str | None = None) -> None:
    model = load(folder, adapter).eval()
    with open(text, encoding="utf-8") as file:
        ids = token_ids(file.read(), *([adapter] if adapter else []), folder)
    total, targets = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(ids) - 1, length):
            row = torch.tensor([ids[start : start + length + 1]])
            logits = model(row[:, :-1]).logits[0]
            loss = torch.nn.functional.cross_entropy(logits, row[0, 1:], reduction="sum")
            total, targets = total + loss.item(), targets + row.shape[1] - 1
    print(f"loss {total / targets:.6f} over {targets} tokens")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
