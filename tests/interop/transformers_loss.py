"""The loss that transformers gets of a model and a text, beside what `eval` prints.

    pip install torch transformers
    deno run -A cli.ts eval --model runs/demo/model --data held-out.txt --seq-len 128 --json
    python tests/interop/transformers_loss.py runs/demo/model held-out.txt 128

The text is cut as `eval` cuts one document: rows of T tokens, each predicting the next one.
"""

import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main(folder: str, text: str, length: int) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with open(text, encoding="utf-8") as file:
        ids = tokenizer(file.read(), add_special_tokens=False)["input_ids"]
    ids.append(tokenizer.eos_token_id)
    total, targets = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(ids) - 1, length):
            row = torch.tensor([ids[start : start + length + 1]])
            logits = model(row[:, :-1]).logits[0]
            loss = torch.nn.functional.cross_entropy(logits, row[0, 1:], reduction="sum")
            total, targets = total + loss.item(), targets + row.shape[1] - 1
    print(f"loss {total / targets:.6f} over {targets} tokens")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
