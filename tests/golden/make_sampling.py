"""Probabilities after transformers' logits processors, in float64: fixtures/sampling.json.

python make_sampling.py ../fixtures
"""

import json
import sys
from pathlib import Path

import torch
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

# Any model will do: it only assembles the processors of a configuration.
MODEL = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=48))

CASES = [
    dict(),
    dict(temperature=0.7),
    dict(temperature=1.6, top_k=7),
    dict(top_k=1),
    dict(top_k=100),
    dict(top_k=5, ties=True),
    dict(top_p=0.5),
    dict(top_p=0.01),
    dict(top_p=0.999),
    dict(min_p=0.2),
    dict(min_p=1.0),
    dict(repetition_penalty=1.3),
    dict(repetition_penalty=0.8),
    dict(no_repeat_ngram_size=1),
    dict(no_repeat_ngram_size=2),
    dict(no_repeat_ngram_size=3),
    dict(no_repeat_ngram_size=20),
    dict(temperature=0.8, top_k=40, top_p=0.95),
    dict(temperature=0.8, top_k=12, top_p=0.9, min_p=0.05, repetition_penalty=1.1),
    dict(temperature=2.5, top_k=20, top_p=0.7, min_p=0.3, repetition_penalty=1.5, no_repeat_ngram_size=2),
]
TOKENS = [5, 9, 5, 9, 11, 5, 9]


def case(index, settings):
    settings = dict(settings)
    ties = settings.pop("ties", False)
    torch.manual_seed(index)
    logits = 2 * torch.randn(48, dtype=torch.float64)
    if ties:
        logits = logits.round()
    # top_k has a default of its own there.
    config = GenerationConfig(do_sample=True, **{"top_k": 0, **settings})
    processors = MODEL._get_logits_processor(config, input_ids_seq_length=len(TOKENS))
    scores = processors(torch.tensor([TOKENS]), logits[None].clone())
    probabilities = scores.softmax(-1)[0]
    return dict(settings=settings, tokens=TOKENS, logits=logits.tolist(), probabilities=probabilities.tolist())


cases = [case(index, settings) for index, settings in enumerate(CASES)]
Path(sys.argv[1], "sampling.json").write_text(json.dumps(cases))
