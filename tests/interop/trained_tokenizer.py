"""Trains a tokenizer on the same texts with Python's library, and encodes texts with ours.

    python tests/interop/trained_tokenizer.py <folder> <texts.jsonl> <sample.json>        (transformers)

Prints as JSON whether the files are equal, and the ids of the sample as transformers reads the folder.
"""
import json
import sys
import tempfile
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer

folder, texts, sample = map(Path, sys.argv[1:])
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
    pre_tokenizers.Split(Regex(SPLIT), "isolated"),
    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
tokenizer.decoder = decoders.ByteLevel()
tokenizer.train_from_iterator(
    (json.loads(line)["text"] for line in texts.open()),
    trainers.BpeTrainer(vocab_size=8000, min_frequency=2, special_tokens=["<|endoftext|>"],
                        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
with tempfile.TemporaryDirectory() as there:
    tokenizer.save(f"{there}/tokenizer.json")
    same = Path(there, "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()
loaded = AutoTokenizer.from_pretrained(folder)
print(json.dumps({
    "same_file": same,
    "ids": [loaded.encode(text) for text in json.loads(sample.read_text())],
    "bos": loaded.bos_token_id,
    "eos": loaded.eos_token_id,
}))
