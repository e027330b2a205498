"""Writes tests/fixtures/tokenizers/trained.json: tokenizers as Python's library trains them.

    python tests/golden/make_trained_tokenizers.py        (tokenizers)
"""
import hashlib
import json
import tempfile
from pathlib import Path

from tokenizers import (Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers)

ROOT = Path(__file__).parent.parent.parent
SHAKESPEARE = "examples/data/tinyshakespeare.txt"
C4 = "tests/fixtures/data/c4.jsonl"
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
TEXTS = ["don't DON'T we'll I'VE it's", "1234567 3.14159 ½ ² ①", "日本語のテキストと日本語", "Привет, мир! Привет!",
         "  indented\n\n\tcode = code + code;\r\n\r\nend   ", "🙂🙂👩‍👩‍👧 <|endoftext|> </s>", "naïve café, naïve café",
         "العربية العربية", "a" * 40, " " * 17 + "x" + " " * 9, "\n\n\n", "e\u0301 é"]


def trained(texts, vocab_size, min_frequency, special, bos=None):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=min_frequency, special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A $B:1", special_tokens=[(bos, special.index(bos))])
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(f"{folder}/tokenizer.json")
        saved = Path(folder, "tokenizer.json").read_text()
    return {"vocabulary": tokenizer.get_vocab_size(), "sha256": hashlib.sha256(saved.encode()).hexdigest()}


def texts_of(path):
    lines = (ROOT / path).read_text().splitlines()
    return [json.loads(line)["text"] for line in lines]


EOS = "<|endoftext|>"
CHAT = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]
golden = {
    "texts": TEXTS,
    "a text file": {"data": SHAKESPEARE, "options": {"vocabSize": 2000},
                    **trained([(ROOT / SHAKESPEARE).read_text()], 2000, 2, [EOS])},
    "JSON Lines": {"data": C4, "options": {"vocabSize": 1500, "minFrequency": 3},
                   **trained(texts_of(C4), 1500, 3, [EOS])},
    "many scripts, BOS and chat tokens": {
        "options": {"vocabSize": 300, "minFrequency": 1, "bosToken": "<s>", "eosToken": "</s>",
                    "specialTokens": CHAT[2:]},
        **trained(TEXTS, 300, 1, CHAT, bos="<s>")},
    "more tokens than pairs": {"options": {"vocabSize": 8000}, **trained(TEXTS, 8000, 2, [EOS])},
}
out = ROOT / "tests" / "fixtures" / "tokenizers" / "trained.json"
out.write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")
