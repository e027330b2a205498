"""Writes tests/fixtures/gguf/types.gguf, a tensor of every type, and types.safetensors, its values.

    python tests/golden/make_gguf_types.py       (gguf, llama-cpp-python, safetensors)

The first row of a tensor is what llama.cpp's own quantiser makes of normal values; the second is of
blocks whose scales are sensible and whose other bytes are random. The values are those of gguf's
dequantiser, which must agree with ggml's own to the bit; of Q1_0 and Q2_0, which gguf cannot
dequantise, those of ggml. `q8_0.values` and `q8_0.bytes` are rows and gguf's Q8_0 of them.
"""
import ctypes
import os
from pathlib import Path

import llama_cpp
import numpy as np
from gguf import GGML_QUANT_SIZES, GGUFWriter
from gguf import GGMLQuantizationType as Type
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file

OUT = Path(__file__).parent.parent / "fixtures" / "gguf"
COLUMNS = 512
random = np.random.default_rng(11)
ggml = ctypes.CDLL(os.path.join(os.path.dirname(llama_cpp.__file__), "lib", "libggml-base.so"))
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t

# By name: gguf 0.19 lacks Q2_0.
Q2_0 = 42
IDS = {name: Type[name].value for name in (
    "F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS IQ3_XXS IQ3_S "
    "IQ2_XXS IQ2_XS IQ2_S IQ1_S IQ1_M TQ1_0 TQ2_0 MXFP4 NVFP4 Q1_0").split()} | {"Q2_0": Q2_0}
SIZES = {name: GGML_QUANT_SIZES[Type[name]] for name in IDS if name != "Q2_0"} | {"Q2_0": (64, 18)}
# Where a block has float16 scales; elsewhere 0.
SCALES = {"Q4_1": [0, 2], "Q5_1": [0, 2], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2],
          "Q5_K": [0, 2], "Q6_K": [208], "TQ1_0": [52], "TQ2_0": [64]}


def address(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def quantised(name, values):
    """By llama.cpp, all elements equally important."""
    elements, size = SIZES[name]
    out = np.zeros(len(values) // elements * size, np.uint8)
    weights = np.ones(len(values), np.float32)
    written = ggml.ggml_quantize_chunk(
        IDS[name], address(values), address(out), ctypes.c_int64(0), ctypes.c_int64(1),
        ctypes.c_int64(len(values)), address(weights))
    assert written == len(out), name
    return out


def random_blocks(name):
    elements, size = SIZES[name]
    blocks = random.integers(0, 256, (COLUMNS // elements, size), dtype=np.uint8)
    scales = lambda: random.normal(0, 0.02, len(blocks)).astype(np.float16)
    if name == "MXFP4":
        blocks[:, 0] = random.integers(0, 255, len(blocks))
        blocks[:3, 0] = [0, 1, 2]
    elif name == "NVFP4":
        blocks[:, :4] = random.integers(0, 0x7F, (len(blocks), 4))
    elif name == "IQ1_M":
        # Spread over the high halves of the last four odd bytes.
        bits = scales().view(np.uint16)
        for i in range(4):
            at = 48 + 2 * i + 1
            blocks[:, at] = blocks[:, at] & 15 | ((bits >> 4 * i & 15) << 4).astype(np.uint8)
    else:
        for at in SCALES.get(name, [0]):
            blocks[:, at:at + 2] = scales().view(np.uint8).reshape(-1, 2)
    return blocks.reshape(-1)


def ggml_values(name, raw):
    out = np.zeros(len(raw) // SIZES[name][1] * SIZES[name][0], np.float32)
    suffix = name.lower().replace("_k", "_K")
    getattr(ggml, f"dequantize_row_{suffix}")(address(raw), address(out), ctypes.c_int64(len(out)))
    return out


writer = GGUFWriter(OUT / "types.gguf", "qwen2")
writer.add_block_count(len(IDS))
writer.add_context_length(256)
writer.add_embedding_length(COLUMNS)
writer.add_feed_forward_length(8)
writer.add_head_count(1)
writer.add_head_count_kv(1)
writer.add_rope_freq_base(10000.0)
writer.add_layer_norm_rms_eps(1e-5)
writer.add_tensor("token_embd.weight", random.normal(0, 1, (4, COLUMNS)).astype(np.float16))
expected = {}
for layer, (name, kind) in enumerate(IDS.items()):
    rows = random.normal(0, 1, (2, COLUMNS)).astype(np.float32)
    if SIZES[name][0] == 1:
        raw = quantize(rows, Type[name]).view(np.uint8)
        values = dequantize(raw, Type[name])
    else:
        raw = np.stack([quantised(name, rows[0]), random_blocks(name)])
        values = np.stack([ggml_values(name, row) for row in raw])
        if name not in ("Q1_0", "Q2_0"):
            theirs = dequantize(raw, Type[name])
            assert values.tobytes() == theirs.tobytes(), name
    expected[f"model.layers.{layer}.mlp.up_proj.weight"] = np.ascontiguousarray(values.reshape(2, COLUMNS))
    if name == "Q2_0":
        # The writer knows sizes of its own types only; the file says I8 until below.
        writer.add_tensor(f"blk.{layer}.ffn_up.weight", raw, raw_shape=(2, COLUMNS // 64 * 18),
                          raw_dtype=Type.I8)
    else:
        writer.add_tensor(f"blk.{layer}.ffn_up.weight", raw, raw_dtype=Type[name])
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

# Q2_0 was written as bytes: its columns and its type, where the header lists it.
path = OUT / "types.gguf"
file = bytearray(path.read_bytes())
at = file.index(f"blk.{len(IDS) - 1}.ffn_up.weight".encode()) + len(f"blk.{len(IDS) - 1}.ffn_up.weight") + 4
file[at:at + 8] = COLUMNS.to_bytes(8, "little")
file[at + 16:at + 20] = Q2_0.to_bytes(4, "little")
path.write_bytes(file)

# ---- a header that is unusual ----
# Tensors at multiples of 64, a byte order mark among the tokens, a list of lists.
odd = GGUFWriter(OUT / "odd.gguf", "llama")
odd.add_custom_alignment(64)
odd.add_block_count(1)
odd.add_context_length(64)
odd.add_embedding_length(8)
odd.add_feed_forward_length(8)
odd.add_head_count(1)
odd.add_layer_norm_rms_eps(1e-5)
odd.add_tokenizer_model("llama")
odd.add_token_list(["<unk>", "<s>", "</s>", "\ufeff", "a\0b", "naïve🙂"])
odd.add_token_scores([0.0] * 6)
odd.add_token_types([2, 3, 3, 1, 1, 1])
odd.add_array("llama.test.nested", [[1, 2], [3]])
odd.add_tensor("token_embd.weight", np.arange(48, dtype=np.float32).reshape(6, 8))
odd.add_tensor("output_norm.weight", np.arange(8, dtype=np.float32))
odd.write_header_to_file()
odd.write_kv_data_to_file()
odd.write_tensors_to_file()
odd.close()

# Normal values, halves of the scale (rounded away from zero), a row of zeros, tiny ones, large ones.
rows = random.normal(0, 1, (6, 64)).astype(np.float32)
rows[1] = (random.integers(-254, 255, 64) / 2).astype(np.float32)
rows[1, ::32] = 127
rows[2] = 0
rows[3] *= 1e-6
rows[4] *= 1e4
expected["q8_0.values"], expected["q8_0.bytes"] = rows, quantize(rows, Type.Q8_0)
save_file(expected, OUT / "types.safetensors")
