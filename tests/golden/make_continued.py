"""Writes tests/fixtures/continued: pre-training continued on raw text by torch's AdamW.

    pip install torch transformers tokenizers
    python tests/golden/make_continued.py

`untied` is a tiny model whose tokenizer puts BOS before a text, and whose vocabulary is padded. The
tied one is tests/fixtures/models/llama-gqa-tied, with the trainer's byte tokenizer: a text is its
bytes, and 256 ends it.
"""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

FIXTURES = Path(__file__).parents[1] / "fixtures"
FOLDER = FIXTURES / "continued"
FOLDER.mkdir(exist_ok=True)
T, B, STEPS, LR, DECAY = 32, 2, 5, 3e-3, 0.1
VERSES = [line for line in (Path(__file__).parents[2] / "examples/data/tinyshakespeare.txt")
          .read_text().split("\n\n")[:60]]
DOCUMENTS, HELD_OUT = VERSES[:20], VERSES[40:46]
for name, texts in [("documents", DOCUMENTS), ("held_out", HELD_OUT)]:
    (FOLDER / f"{name}.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))


def untied():
    folder = FOLDER / "untied"
    fast = Tokenizer(models.BPE())
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    fast.train_from_iterator(VERSES, trainers.BpeTrainer(
        vocab_size=290, special_tokens=["<s>", "</s>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    fast.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=fast, bos_token="<s>", eos_token="</s>")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(2)
    LlamaForCausalLM(LlamaConfig(
        vocab_size=304, hidden_size=32, intermediate_size=88, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
        initializer_range=0.1, bos_token_id=0, eos_token_id=1, tie_word_embeddings=False,
    )).save_pretrained(folder)
    return folder, lambda text: tokenizer(text)["input_ids"] + [1]


def rows(texts, encode, rest=False):
    ids = [each for text in texts for each in encode(text)]
    starts = range(0, len(ids) - (1 if rest else T), T)
    return [torch.tensor(ids[start:start + T + 1]) for start in starts]


def loss_of(model, row):
    logits = model(row[None, :-1]).logits[0]
    return torch.nn.functional.cross_entropy(logits, row[1:], reduction="sum")


def held_out(model, encode):
    with torch.no_grad():
        found = rows(HELD_OUT, encode, rest=True)
        return (sum(loss_of(model, row) for row in found) / sum(len(row) - 1 for row in found)).item()


golden = dict(seqLen=T, batchSize=B, steps=STEPS, lr=LR, weightDecay=DECAY)
tied = FIXTURES / "models/llama-gqa-tied", lambda text: [*text.encode(), 256]
for name, (folder, encode) in [("untied", untied()), ("tied", tied)]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    adamw = torch.optim.AdamW(model.parameters(), lr=LR, betas=(0.9, 0.999), eps=1e-8,
                              weight_decay=DECAY)
    data, losses, first = rows(DOCUMENTS, encode), [], held_out(model, encode)
    for step in range(STEPS):
        loss = sum(loss_of(model, row) for row in data[step * B:(step + 1) * B]) / (B * T)
        adamw.zero_grad()
        loss.backward()
        adamw.step()
        losses.append(loss.item())
    golden[name] = dict(losses=losses, held_out=[first, held_out(model, encode)])
(FOLDER / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
