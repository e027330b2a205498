"""Writes tests/fixtures/gguf/split: llama.gguf in three files, by gguf's writer.

    python tests/golden/make_gguf_split.py       (gguf, llama-cpp-python)

Afterwards llama.cpp loads it, so the parts are as its own tools would write them.
"""
from pathlib import Path

import llama_cpp
from gguf import GGUFReader, GGUFValueType, GGUFWriter

FIXTURES = Path(__file__).parent.parent / "fixtures" / "gguf"
OUT = FIXTURES / "split"
OUT.mkdir(exist_ok=True)
reader = GGUFReader(FIXTURES / "llama.gguf")
writer = GGUFWriter(OUT / "llama.gguf", "llama", split_max_tensors=5)
for name, field in reader.fields.items():
    if name.startswith("GGUF.") or name == "general.architecture":
        continue
    sub_type = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
    writer.add_key_value(name, field.contents(), field.types[0], sub_type)
for tensor in reader.tensors:
    writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

first = OUT / "llama-00001-of-00003.gguf"
model = llama_cpp.Llama(str(first), verbose=False)
assert model.n_embd() == 64
for path in sorted(OUT.iterdir()):
    print(path.name, path.stat().st_size, len(GGUFReader(path).tensors), list(GGUFReader(path).fields)[:8])
