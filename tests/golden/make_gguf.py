"""Writes tests/fixtures/gguf: small GGUF files, and what other programs read from them.

    python tests/golden/make_gguf.py       (gguf, llama-cpp-python, transformers, safetensors)

`llama.gguf` is a model in Q8_0 with
Llama 3.1's RoPE and a byte-level tokenizer; `llama.safetensors` has its weights as transformers
reads them. `spm.gguf` and `gemma.gguf` are SentencePiece vocabularies. `tokens.json` has the ids
of llama.cpp, for the byte-level vocabulary under every pre-tokenizer, and of transformers where
it agrees on what the file means.
"""
import json
import os
import tempfile
from pathlib import Path

import llama_cpp
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFWriter
from gguf.quants import quantize
from safetensors.numpy import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

ROOT = Path(__file__).parent.parent.parent
OUT = ROOT / "tests" / "fixtures" / "gguf"
DATA = ROOT / "tests" / "fixtures" / "data"
OUT.mkdir(exist_ok=True)
random = np.random.default_rng(7)
TEMPLATE = "{% for message in messages %}{{ message['content'] + eos_token }}{% endfor %}"

# Words of the small vocabularies' own text, and whatever splits differently by scheme.
TEXTS = [
    "", " ", "  ", "a", " a", "Hello, world!", " the  king   said\n\n\nAll:\nSpeak, speak.",
    "  two leading spaces, trailing ones  ", "naïve café — “quoted” 漢字 🙂👩‍👩‍👧 \u00a0\t\r\n end",
    "<|endoftext|>inside<|endoftext|></s><s>", "I'll we've 3,141.59 x=1e-5; don't", "é" * 20,
    "\ufeffbyte order mark", "b\u007f", "1234567890 12 345 6", "def f(x):\n    return x**2  # c\n\n\t if y:\n",
    "I'LL WE'VE DON'T", "٣٤٥ ½ Ⅷ", "Привет, как дела?", "こんにちは世界", "한국어 문장입니다.", "مرحبا بالعالم",
    "हिन्दी में", "ไทยภาษา", "\u200bzero width\u200d", "tabs\t\t\tend", "line\r\nwindows\r\n", "!!!???...",
    "https://example.com/path?q=1&r=2#x", "foo_bar-baz.qux", "$100.00 €5", "x<y>z", "<s></s><unk>",
    '{"json": [1, 2, {"a": null}]}', "\\n \\t", "CamelCaseWordsHere", "ALLCAPS", "mixed123abc456",
    "a  b   c    d     e", "\n\n\n", "\n \n \n", "   \n   ", "end with space ", "∑∏∫√∞≈≠", "ﬁ ligature",
    "Zürich Straße", "long " * 12, "\ud7ff\ue000", "'s 't 're", " 's", "…", "<0x0A> <0xFF>",
]


def config(writer, *, layers, hidden, ffn, heads, kv_heads, head_size, theta=10000.0):
    writer.add_block_count(layers)
    writer.add_context_length(256)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(ffn)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head_size)
    writer.add_value_length(head_size)
    writer.add_rope_dimension_count(head_size)
    writer.add_rope_freq_base(theta)
    writer.add_layer_norm_rms_eps(1e-5)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# ---- tokenizers ----
def byte_level(writer, pre):
    files = DATA / "tokenizer-gpt2"
    model = json.loads((files / "tokenizer.json").read_text())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens + ["<|user|>", "[PAD401]"])
    writer.add_token_types([3] + [1] * (len(tokens) - 1) + [4, 5])
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in model["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_chat_template(TEMPLATE)
    writer.add_add_bos_token(False)
    return len(tokens) + 2


def sentencepiece(writer, spaces):
    model = json.loads((DATA / "tokenizer-llama" / "tokenizer.json").read_text())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    ranks = {}
    for merge in model["merges"]:
        ranks.setdefault("".join(merge), len(ranks))
    scores = [float(-ranks.get(token, 1000)) for token in tokens]
    types = [2, 3, 3] + [6 if token.startswith("<0x") else 1 for token in tokens[3:]]
    if spaces:
        # As in Gemma: runs of spaces are a user's tokens, and there is no space before a text.
        extra = [" " * n for n in (2, 3, 4)] + ["<start_of_turn>"]
        tokens, scores, types = tokens + extra, scores + [-1000.0] * 4, types + [4, 4, 4, 3]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_space_prefix(not spaces)
    return len(tokens)


def vocabulary(path, add):
    writer = GGUFWriter(path, "llama")
    config(writer, layers=1, hidden=8, ffn=8, heads=1, kv_heads=1, head_size=8)
    size = add(writer)
    writer.add_vocab_size(size)
    writer.add_tensor("token_embd.weight", np.zeros((size, 8), np.float16))
    finish(writer)


def llama_ids(path):
    model = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
    return [model.tokenize(text.encode(), add_bos=True, special=True) for text in TEXTS]


def transformers_ids(path):
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    return [tokenizer(text)["input_ids"] for text in TEXTS]


# ---- a model ----
def permuted(weight, heads):
    return (weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
            .swapaxes(1, 2).reshape(weight.shape))


def llama3_factors(head_size, theta, factor, low, high, original):
    factors = []
    for frequency in 1 / theta ** (np.arange(0, head_size, 2) / head_size):
        wavelength = 2 * np.pi / frequency
        if wavelength < original / high:
            factors.append(1)
        elif wavelength > original / low:
            factors.append(factor)
        else:
            smooth = (original / wavelength - low) / (high - low)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(factors, np.float32)


def model():
    hidden, ffn, heads, kv_heads, head_size, theta = 64, 96, 4, 2, 16, 500000.0
    writer = GGUFWriter(OUT / "llama.gguf", "llama")
    config(writer, layers=1, hidden=hidden, ffn=ffn, heads=heads, kv_heads=kv_heads,
           head_size=head_size, theta=theta)
    size = byte_level(writer, "gpt-2")
    writer.add_vocab_size(size)
    weight = lambda *shape: random.normal(0, 0.1, shape).astype(np.float32)
    q8 = lambda name, values: writer.add_tensor(name, quantize(values, Type.Q8_0), raw_dtype=Type.Q8_0)
    writer.add_tensor("rope_freqs.weight", llama3_factors(head_size, theta, 8.0, 1.0, 4.0, 64))
    q8("token_embd.weight", weight(size, hidden))
    q8("blk.0.attn_q.weight", permuted(weight(heads * head_size, hidden), heads))
    q8("blk.0.attn_k.weight", permuted(weight(kv_heads * head_size, hidden), kv_heads))
    q8("blk.0.attn_v.weight", weight(kv_heads * head_size, hidden))
    q8("blk.0.attn_output.weight", weight(hidden, heads * head_size))
    q8("blk.0.ffn_gate.weight", weight(ffn, hidden))
    q8("blk.0.ffn_up.weight", weight(ffn, hidden))
    q8("blk.0.ffn_down.weight", weight(hidden, ffn))
    for name in ["blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "output_norm.weight"]:
        writer.add_tensor(name, 1 + weight(hidden))
    finish(writer)
    loaded = AutoModelForCausalLM.from_pretrained(
        OUT, gguf_file="llama.gguf", quantization_config=GgufConfig(dequantize=True), dtype="float32")
    state = {name: np.ascontiguousarray(value.numpy()) for name, value in loaded.state_dict().items()}
    state.pop("lm_head.weight")
    save_file(state, OUT / "llama.safetensors")


model()
vocabulary(OUT / "spm.gguf", lambda writer: sentencepiece(writer, False))
vocabulary(OUT / "gemma.gguf", lambda writer: sentencepiece(writer, True))
ids = {"llama.cpp": {}, "transformers": {}}
with tempfile.TemporaryDirectory() as folder:
    for pre in ["gpt-2", "smollm", "llama-bpe", "qwen2", "tekken", "default"]:
        path = Path(folder) / f"{pre}.gguf"
        vocabulary(path, lambda writer: byte_level(writer, pre))
        ids["llama.cpp"][pre] = llama_ids(path)
        # transformers takes these two for gpt-2.
        if pre not in ("smollm", "default"):
            ids["transformers"][pre] = transformers_ids(path)
for name in ["spm", "gemma"]:
    ids["llama.cpp"][name] = llama_ids(OUT / f"{name}.gguf")
(OUT / "tokens.json").write_text(json.dumps({"texts": TEXTS, **ids}) + "\n")
