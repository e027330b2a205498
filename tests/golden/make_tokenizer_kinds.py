"""Writes tests/fixtures/tokenizers/kinds.json: small tokenizers of every kind, and Python's ids,
texts and offsets.

    python tests/golden/make_tokenizer_kinds.py        (tokenizers, sentencepiece)

Strings are few characters that tokenizers treat unlike each other, in random order.
"""
import io
import json
import random
import tempfile
from pathlib import Path

import sentencepiece
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers,
                        processors, trainers)

ROOT = Path(__file__).parent.parent.parent
SHAKESPEARE = (ROOT / "examples" / "data" / "tinyshakespeare.txt").read_text()[:60000].split("\n")
OTHERS = ["héllo wörld naïve café", "日本語のテキスト", "العربية", "Привет мир", "ﬁ ½ ² ①", "12345 3.14159",
          "한국어", "don't I'll WE'VE it'S", "def f(x):\n    return x"] * 20
CORPUS = SHAKESPEARE + OTHERS
LLAMA_3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
           r"|\s*[\r\n]+|\s+(?!\S)|\s+")
KINDS = {}


def byte_level(name, pre_tokenizer, normalizer=None, post=None, added=(), suffix=None, prefix=None):
    options = {}
    if prefix: options["continuing_subword_prefix"] = prefix
    if suffix: options["end_of_word_suffix"] = suffix
    tokenizer = Tokenizer(models.BPE(**options))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer: tokenizer.normalizer = normalizer
    if post: tokenizer.post_processor = post
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=340, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, **options))
    tokenizer.add_tokens(list(added))
    KINDS[name] = tokenizer


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), behavior, invert),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


byte_level("gpt2", pre_tokenizers.ByteLevel(add_prefix_space=True),
           post=processors.ByteLevel(trim_offsets=True))
byte_level("llama3", split(LLAMA_3))
byte_level("added", split(LLAMA_3), normalizers.NFC(), added=[
    AddedToken("<L>", lstrip=True), AddedToken("<R>", rstrip=True),
    AddedToken("word", single_word=True), AddedToken("Ñorm", normalized=True),
    AddedToken("<N>", normalized=False), AddedToken("overlap"), AddedToken("over"),
    AddedToken("    "), AddedToken("<|tool|>", special=True)])
byte_level("behaviors", pre_tokenizers.Sequence([
    pre_tokenizers.Split("-", "merged_with_previous"), pre_tokenizers.Split("_", "removed"),
    pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.FixedLength(7),
    pre_tokenizers.ByteLevel(add_prefix_space=False)]))
byte_level("template", split(LLAMA_3), post=processors.Sequence([
    processors.ByteLevel(trim_offsets=False),
    processors.TemplateProcessing(single="<|im_start|> $A <|im_end|>", pair=None,
                                  special_tokens=[("<|im_start|>", 1), ("<|im_end|>", 2)])]))


def plain(name, **options):
    """Characters of any script, split at words; what the vocabulary lacks is left out or unknown."""
    tokenizer = Tokenizer(models.BPE(**options))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.BPEDecoder("</w>") if "end_of_word_suffix" in options else None
    special = ["<unk>"] if "unk_token" in options else []
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=250, special_tokens=special, show_progress=False, limit_alphabet=70,
        **{key: options[key] for key in ("continuing_subword_prefix", "end_of_word_suffix")
           if key in options}))
    KINDS[name] = tokenizer


plain("bpe_unknown", unk_token="<unk>")
plain("bpe_left_out")
plain("bpe_parts", unk_token="<unk>", continuing_subword_prefix="##", end_of_word_suffix="</w>")


def sentencepiece_bpe(name, normalizer, pre_tokenizer, added=()):
    options = dict(unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    tokenizer = Tokenizer(models.BPE(**options))
    tokenizer.normalizer = normalizer or normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizer or pre_tokenizers.Split("▁", "merged_with_next")
    special = ["<unk>", "<s>", "</s>"]
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=430, special_tokens=special + [f"<0x{i:02X}>" for i in range(256)],
        show_progress=False, limit_alphabet=70))
    trained = json.loads(tokenizer.to_str())
    trained["added_tokens"] = trained["added_tokens"][:3]
    trained["normalizer"] = normalizer and json.loads(normalizer.__getstate__())
    trained["pre_tokenizer"] = pre_tokenizer and json.loads(pre_tokenizer.__getstate__())
    tokenizer = Tokenizer.from_str(json.dumps(trained))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                           decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    tokenizer.add_tokens(list(added))
    KINDS[name] = tokenizer


sentencepiece_bpe("llama2", normalizers.Sequence(
    [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None,
    added=[AddedToken("[INST]", special=True), AddedToken("<mid>", normalized=True)])
sentencepiece_bpe("metaspace", None, pre_tokenizers.Metaspace("▁", "first", split=False))



def character_map():
    """SentencePiece's compiled character map, of a few rules: t5's own has 300 KB."""
    rules = {"\u00a0": " ", "\u3000": " ", "\u200b": " ", "ﬁ": "fi", "½": "1/2", "Ａ": "A", "e\u0301": "é"}
    codes = lambda text: " ".join(f"{ord(character):04X}" for character in text)
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as table:
        table.write("".join(f"{codes(text)}\t{codes(to)}\n" for text, to in rules.items()))
        table.flush()
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([line for line in CORPUS if line.strip()]), model_writer=model,
            vocab_size=300, hard_vocab_limit=False, normalization_rule_tsv=table.name, minloglevel=2)
    return field(field(model.getvalue(), 3), 2)


def field(message, wanted):
    """The bytes of a field of a protocol buffer."""
    at = 0
    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128: return value
    while at < len(message):
        key = varint()
        number, kind = key >> 3, key & 7
        if kind == 0: varint()
        elif kind == 2:
            length = varint()
            if number == wanted: return message[at:at + length]
            at += length
        else: at += {1: 8, 5: 4}[kind]


def unigram(name, normalizer, pre_tokenizer, post=None, byte_fallback=False):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    tokenizer.train_from_iterator(CORPUS, trainers.UnigramTrainer(
        vocab_size=300, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>",
        show_progress=False))
    if byte_fallback:
        trained = json.loads(tokenizer.to_str())
        trained["model"]["byte_fallback"] = True
        trained["model"]["vocab"] += [[f"<0x{i:02X}>", -20.0] for i in range(256)]
        tokenizer = Tokenizer.from_str(json.dumps(trained))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace("▁", "always")])
    if post: tokenizer.post_processor = post
    KINDS[name] = tokenizer


end = processors.TemplateProcessing(single="$A </s>", pair=None, special_tokens=[("</s>", 1)])
words = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace("▁", "always")])
unigram("t5", normalizers.Precompiled(character_map()), words, end)
unigram("nmt", normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(),
                                     normalizers.Replace(Regex(" {2,}"), " ")]), words, end)
unigram("unigram_bytes", normalizers.NFKD(), pre_tokenizers.Metaspace("▁", "first"), byte_fallback=True)

tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
tokenizer.decoder = decoders.WordPiece()
tokenizer.train_from_iterator(CORPUS, trainers.WordPieceTrainer(
    vocab_size=300, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False))
tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
KINDS["bert"] = tokenizer

ATOMS = [" ", "  ", "    ", "\t", "\n", "\n\n", "\r\n", "\u00a0", "\u3000", "\u200b", "\u200d", "\ufeff",
         "\u0085", "\x00", "\x07", "\x7f", "\u00ad", "a", "Hello", "world", "word", "words", "don't",
         "I'LL", "ſ", "İ", "ß", "Σ", "é", "e\u0301", "Ａ", "ﬁ", "½", "²", "Ⅷ", "٣", "123", "12345", "3.14",
         "日本", "語", "ｶﾞ", "\u1112\u1161\u11ab", "العربية", "Привет", "हिन्दी", "👍🏽", "👩‍👩‍👧", "𝕏", "\U0010ffff",
         "\ue000", "\ufffd", ".", "...", "—", "'", "\"", "``", "_", "-", "__init__", "x=1;", "</s>", "<s>",
         "<unk>", "[CLS]", "<|endoftext|>", "<|im_start|>", "<0x0A>", "<L>", "<R>", "<N>", "Ñorm",
         "overlap", "over", "<|tool|>", "[INST]", "<mid>", "▁", "Ġ", "A" * 20]
random.seed(7)
STRINGS = [""] + ATOMS
while len(STRINGS) < 320:
    STRINGS.append("".join(random.choices(ATOMS + [" "] * 20, k=random.randint(2, 7))))
STRINGS = list(dict.fromkeys(STRINGS))


def packed(numbers):
    return " ".join(map(str, numbers))


kinds = {}
for name, tokenizer in KINDS.items():
    # What is read is what was written: scores lose digits on the way.
    written = tokenizer.to_str()
    tokenizer = Tokenizer.from_str(written)
    parsed = json.loads(written)
    if parsed["model"]["type"] == "BPE":
        parsed["model"]["merges"] = [" ".join(merge) for merge in parsed["model"]["merges"]]
    cases = []
    # Offsets without trimming, which hides the space of a token.
    untrimmed = Tokenizer.from_str(written)
    if name == "gpt2": untrimmed.post_processor = None
    for text in STRINGS:
        encoding = tokenizer.encode(text)
        bare = untrimmed.encode(text, add_special_tokens=False)
        offsets = [number for pair in bare.offsets for number in pair]
        case = {"bare": packed(bare.ids),
                "bareText": tokenizer.decode(bare.ids, skip_special_tokens=False)}
        skipped = tokenizer.decode(encoding.ids, skip_special_tokens=True)
        if encoding.ids != bare.ids: case["ids"] = packed(encoding.ids)
        if skipped != case["bareText"]: case["skipped"] = skipped
        if len(cases) % 4 == 0: case["offsets"] = packed(offsets)
        cases.append(case)
    kinds[name] = {"tokenizer": parsed, "cases": cases}

folder = ROOT / "tests" / "fixtures" / "tokenizers"
folder.mkdir(exist_ok=True)
(folder / "kinds.json").write_text(json.dumps({"strings": STRINGS, "kinds": kinds}, separators=(",", ":"),
                                              ensure_ascii=False) + "\n")
print({name: len(json.dumps(each)) for name, each in kinds.items()})
