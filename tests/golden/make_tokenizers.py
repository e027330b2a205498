"""Writes tests/fixtures/data/tokenizer-*: small tokenizers trained on Shakespeare, and their ids.

    python tests/golden/make_tokenizers.py        (tokenizers, transformers)

`tokenizer-gpt2` is byte-level BPE as GPT-2's; `tokenizer-llama` has byte fallback, a metaspace,
and a template that begins every text with <s>, as LLaMA's.
"""
import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

ROOT = Path(__file__).parent.parent.parent
CORPUS = (ROOT / "examples" / "data" / "tinyshakespeare.txt").read_text()
TEXTS = [
    "", " ", "First Citizen:\nBefore we proceed any further, hear me speak.\n\n\nAll:\nSpeak, speak.",
    "  two leading spaces, trailing ones  ", "naïve café — “quoted” 漢字 🙂👩‍👩‍👧 \u00a0\t\r\n end",
    "<|endoftext|>inside<|endoftext|></s><s>", "I'll we've 3,141.59 x=1e-5; don't", "é" * 70,
    "\ufeffbyte order mark", "a\u0000b\u007f", CORPUS[70000:71500],
]


def gpt2():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.train_from_iterator([CORPUS], trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer, dict(bos_token="<|endoftext|>", eos_token="<|endoftext|>")


def llama():
    special = ["<unk>", "<s>", "</s>"]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
        decoders.Strip(" ", 1, 0)])
    lines = [line for line in CORPUS[:200000].split("\n") if line]
    tokenizer.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=500, special_tokens=special + [f"<0x{i:02X}>" for i in range(256)],
        show_progress=False, max_token_length=8))
    # Trained as special tokens, so that they take the first ids; but bytes are no special tokens.
    trained = json.loads(tokenizer.to_str())
    trained["added_tokens"] = trained["added_tokens"][:3]
    tokenizer = Tokenizer.from_str(json.dumps(trained))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return tokenizer, dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>")


for name, (tokenizer, special) in {"gpt2": gpt2(), "llama": llama()}.items():
    folder = ROOT / "tests" / "fixtures" / "data" / f"tokenizer-{name}"
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    loaded = AutoTokenizer.from_pretrained(folder)
    cases = []
    for text in TEXTS:
        ids = loaded(text)["input_ids"]
        cases.append({"text": text, "ids": ids, "plain": loaded.encode(text, add_special_tokens=False),
                      "decoded": loaded.decode(ids),
                      "skipped": loaded.decode(ids, skip_special_tokens=True)})
    (folder / "expected.json").write_text(json.dumps({
        "vocab_size": len(loaded), "bos": loaded.bos_token_id, "eos": loaded.eos_token_id,
        "cases": cases}, indent=1) + "\n")
