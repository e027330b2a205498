"""The greedy answer of a GGUF model in llama.cpp, by the chat template in the file.

    python tests/interop/llama_cpp_chat.py <model.gguf> <question> <tokens>
"""
import json
import sys

import llama_cpp

path, question, count = sys.argv[1:]
model = llama_cpp.Llama(path, n_ctx=256, verbose=False)
turns = [{"role": "user", "content": question}]
choice = model.create_chat_completion(turns, temperature=0, max_tokens=int(count),
                                      repeat_penalty=1.0)["choices"][0]
print(json.dumps({"text": choice["message"]["content"], "stopped": choice["finish_reason"] == "stop"}))
