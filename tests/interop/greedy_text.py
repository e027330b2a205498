"""Greedy continuations of a GGUF model by `generate`, by transformers and by llama.cpp.

    pip install torch transformers gguf llama-cpp-python
    DENO=deno python tests/interop/greedy_text.py model.gguf [tokens]

Three prompts, each continued as it is and answered as a chat. transformers has the file's weights
dequantised, as `generate` does: their tokens must be the same ones. llama.cpp rounds activations to
8 bits before it multiplies with quantised weights: where it first says something else, the margin
between the two likeliest tokens is shown, in transformers' logits. Exits with 1 unless all tokens
are transformers'.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from llama_cpp import Llama
from transformers import AutoModelForCausalLM, AutoTokenizer

CLI = Path(__file__).parents[2] / "cli.ts"
PROMPTS = ["The three primary colours are", "def fibonacci(n):\n",
           "Once upon a time, a fox"]


def ours(path: str, prompt: str, chat: bool, count: int) -> list[int]:
    command = [os.environ.get("DENO", "deno"), "run", "-A", str(CLI), "generate", "--model", path,
               "--weights", "float32", "--dtype", "float32", "--temperature", "0",
               "--max-new-tokens", str(count), "--prompt", prompt, "--json"]
    command += ["--chat"] if chat else []
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)["token_ids"]


def common(a: list[int], b: list[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


def main(path: str, count: int) -> bool:
    file = Path(path)
    named = {"gguf_file": file.name}
    model = AutoModelForCausalLM.from_pretrained(file.parent, **named, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, **named)
    llama = Llama(path, n_ctx=1024, verbose=False)
    same = True
    for prompt in PROMPTS:
        for chat in [False, True]:
            if chat:
                turns = [{"role": "user", "content": prompt}]
                ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True,
                                                    return_dict=False)
            else:
                ids = tokenizer(prompt)["input_ids"]
            # generation_config is the library's own: the file has none.
            out = model.generate(torch.tensor([ids]), max_new_tokens=count, do_sample=False,
                                 eos_token_id=llama.token_eos(), pad_token_id=llama.token_eos())
            expected = out[0, len(ids):].tolist()
            if expected[-1] == llama.token_eos():
                expected.pop()
            made = ours(path, prompt, chat, count)
            quantised = []
            llama.reset()
            for token in llama.generate(ids, temp=0, top_k=1, repeat_penalty=1.0):
                if token == llama.token_eos() or len(quantised) == count:
                    break
                quantised.append(token)
            same = same and made == expected
            kind = "chat" if chat else "raw "
            print(f"{kind} {prompt!r}: {len(made)} tokens, "
                  f"{'transformers alike' if made == expected else 'NOT as transformers'}, "
                  f"llama.cpp's first {common(made, quantised)} of {len(quantised)} alike")
            for name, other in [("transformers", expected), ("llama.cpp", quantised)]:
                at = common(made, other)
                if made == other:
                    continue
                with torch.no_grad():
                    logits = model(torch.tensor([ids + made[:at]])).logits[0, -1]
                best = logits.topk(2)
                words = [tokenizer.decode([i]) for i in best.indices.tolist()]
                margin = (best.values[0] - best.values[1]).item()
                print(f"     {name} differs at {at}: {words[0]!r} before {words[1]!r} "
                      f"by {margin:.4f}")
    return same


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 64) else 1)
