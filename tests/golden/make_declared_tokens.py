"""Writes tests/fixtures/tokenizers/declared.json: what transformers makes of tokens and options that
stand beside tokenizer.json.

    python tests/golden/make_declared_tokens.py        (transformers; after make_tokenizer_kinds.py)
"""
import json
import tempfile
from pathlib import Path

from transformers import AutoTokenizer

FOLDER = Path(__file__).parent.parent / "fixtures" / "tokenizers"
KINDS = json.loads((FOLDER / "kinds.json").read_text())["kinds"]


def added(content, special=True, **options):
    return {"content": content, "lstrip": False, "normalized": False, "rstrip": False,
            "single_word": False, "special": special, **options}


CASES = {
    "the list of tokenizer_config.json, with options": ("llama3", {"tokenizer_config.json": {
        "added_tokens_decoder": {"340": added("<|turn|>"), "342": added("<|b|>", rstrip=True),
                                 "341": added("<|a|>", special=False, normalized=True)},
        "eos_token": "<|turn|>"}}),
    "the list changes the options of a token": ("llama3", {"tokenizer_config.json": {
        "added_tokens_decoder": {"0": added("<|endoftext|>", lstrip=True, rstrip=True)}}}),
    "the list makes a word of the vocabulary a token": ("llama3", {"tokenizer_config.json": {
        "added_tokens_decoder": {"5": added("!"), "90": added("the", special=False)}}}),
    "added_tokens.json": ("llama3", {
        "added_tokens.json": {"<|turn|>": 340, "<|end|>": 341, "<|end of|>": 342},
        "special_tokens_map.json": {"eos_token": "<|end|>"}, "tokenizer_config.json": {}}),
    "special_tokens_map.json": ("llama2", {
        "special_tokens_map.json": {
            "bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False, "normalized": False,
                                              "rstrip": True, "single_word": False},
            "pad_token": {"content": "<pad>", "lstrip": True, "normalized": False, "rstrip": False,
                          "single_word": False}, "additional_special_tokens": ["<|turn|>", "<mid>"]},
        "tokenizer_config.json": {"pad_token": "<other>"}}),
    "the map beside the list": ("llama2", {
        "special_tokens_map.json": {"pad_token": "<pad>"},
        "tokenizer_config.json": {"added_tokens_decoder": {}, "pad_token": "<other>"}}),
    "further special tokens": ("llama3", {"tokenizer_config.json": {
        "extra_special_tokens": ["<|turn|>", "<|end|>"], "additional_special_tokens": ["<|no|>"]}}),
    "special tokens by name": ("llama3", {"tokenizer_config.json": {
        "extra_special_tokens": {"image_token": "<|image|>"}, "boi_token": "<|boi|>", "pad_token": "<pad>"}}),
    "BOS as a plain word of the vocabulary": ("llama3", {"tokenizer_config.json": {"bos_token": "!"}}),
    "add_bos_token and add_eos_token beside a tokenizer.json": ("llama3", {"tokenizer_config.json": {
        "bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "add_bos_token": True,
        "add_eos_token": True, "add_prefix_space": True, "legacy": False}}),
    "add_bos_token false beside a template": ("llama2", {"tokenizer_config.json": {
        "bos_token": "<s>", "eos_token": "</s>", "add_bos_token": False}}),
    "spaces before punctuation": ("bert", {"tokenizer_config.json": {
        "clean_up_tokenization_spaces": True, "unk_token": "[UNK]"}}),
    "not with byte-pair encoding": ("llama3", {"tokenizer_config.json": {
        "clean_up_tokenization_spaces": True}}),
    "unless that is forced": ("llama3", {"tokenizer_config.json": {
        "clean_up_tokenization_spaces": True,
        "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": True}}),
}
TEXTS = ["", "a <|turn|> b<|end|>\n c", "<|a|> <|b|>  x<|endoftext|>  y", "the other! !the", "<s>hi</s>  <pad> <other>",
         "<|end of|><|no|><|image|><|boi|>", "do n't ' go . I 'm , we 've ?", "<mid>Hello"]

made = {}
for name, (kind, files) in CASES.items():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "tokenizer.json").write_text(json.dumps(KINDS[kind]["tokenizer"]))
        for file, value in files.items():
            if file == "tokenizer_config.json": value = {"tokenizer_class": "PreTrainedTokenizerFast", **value}
            Path(folder, file).write_text(json.dumps(value))
        tokenizer = AutoTokenizer.from_pretrained(folder)
        cases = []
        for text in TEXTS:
            ids = tokenizer(text)["input_ids"]
            cases.append([ids, tokenizer.decode(ids), tokenizer.decode(ids, skip_special_tokens=True)])
        made[name] = {"kind": kind, "files": files, "size": len(tokenizer), "bos": tokenizer.bos_token_id,
                      "eos": tokenizer.eos_token_id, "cases": cases}
(FOLDER / "declared.json").write_text(json.dumps({"texts": TEXTS, "declared": made}, ensure_ascii=False) + "\n")
