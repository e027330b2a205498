"""The text that llama.cpp continues a prompt with, beside what `generate` prints.

    pip install llama-cpp-python
    deno run -A cli.ts export --model model/ --output model.gguf
    deno run -A cli.ts generate --model model/ --prompt "ROMEO:" --temperature 0 --max-new-tokens 32
    python tests/interop/llama_cpp_greedy.py model.gguf "ROMEO:" 32

Prints the ids of the most likely tokens, one after the other, and their text, as JSON.
"""

import json
import sys

import llama_cpp

path, prompt, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
model = llama_cpp.Llama(path, n_ctx=256, logits_all=True, verbose=False)
ids = model.tokenize(prompt.encode(), add_bos=True, special=True)
new: list[int] = []
model.eval(ids)
for _ in range(count):
    token = int(model.scores[model.n_tokens - 1].argmax())
    if token == model.token_eos():
        break
    new.append(token)
    model.eval([token])
print(json.dumps({"token_ids": new, "text": model.detokenize(new).decode(errors="replace")}))
