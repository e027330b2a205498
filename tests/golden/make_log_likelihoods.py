"""Writes what lm-evaluation-harness makes of a tiny model, of the data in tests/fixtures/eval:

- log_likelihoods.json: log-likelihoods of token ids (`HFLM._loglikelihood_tokens`), and how texts
  are split into context and continuation (`HFLM._encode_pair`);
- tasks.json: prompts, log-likelihoods and metrics of its own tasks, on the files there;
- metrics.json: scikit-learn's F1 and Matthews correlation, and the harness' standard errors.

    pip install torch transformers lm_eval==0.4.13 scikit-learn
    python tests/golden/make_log_likelihoods.py
"""

import csv
import json
import os
import random
import tempfile
from pathlib import Path

os.environ["DISABLE_MULTIPROC"] = "1"

import lm_eval
import torch
from lm_eval.api.metrics import (aggregate_subtask_metrics, bootstrap_stderr, f1_score,
                                 matthews_corrcoef, mean_stderr, pooled_sample_stderr)
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks._yaml_loader import load_yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

FIXTURES = Path(__file__).parents[1] / "fixtures"
DATA = FIXTURES / "eval"
TASKS = Path(lm_eval.__file__).parent / "tasks"


def byte_tokenizer():
    """Ids 0 to 255 are bytes, 256 is <|endoftext|>: what the trainer calls `bytes`."""
    printable = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    vocab = {chr(byte): byte for byte in printable}
    vocab |= {chr(0x100 + index): byte for index, byte in enumerate(others)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")
    assert tokenizer.encode("é<|endoftext|>") == [195, 169, 256]
    return tokenizer


def language_model(tokenizer, **options):
    model = AutoModelForCausalLM.from_pretrained(FIXTURES / "models/llama-gqa-tied",
                                                 dtype=torch.float32)
    return HFLM(pretrained=model, tokenizer=tokenizer, backend="causal", batch_size=4,
                device="cpu", **options)


def token_level(tokenizer):
    rnd = random.Random(1)
    ids = lambda n: [rnd.randrange(320) for _ in range(n)]
    shared = ids(21)
    requests = [(shared, [choice]) for choice in (65, 66, 67, 68)]      # one pass for four
    requests += [(shared, [70, 71]), (shared, [70, 72]), (shared + [70], [71])]
    requests += [(ids(1), ids(1)), (ids(1), ids(9)), (ids(37), ids(3)), (ids(19), ids(30))]
    requests += [(ids(60), ids(5)), (ids(38), ids(3)), (ids(39), ids(2)), (ids(80), ids(40))]
    cases = []
    for length in (40, 128):
        # Without its cache: where inputs are the same but continuations begin at different places,
        # as those of requests 4 and 6, 0.4.13 gathers the shorter one from the wrong end.
        model = language_model(tokenizer, max_length=length, logits_cache=False)
        answers = model._loglikelihood_tokens([(("", ""), *pair) for pair in requests])
        cases.append({"length": length, "values": [value for value, _ in answers]})
    return {"requests": [{"context": a, "continuation": b} for a, b in requests], "cases": cases}


TEXTS = [("Question: who?\nAnswer:", " Hamlet"), ("Answer:", " yes"), ("trailing ", "blank"),
         ("two\n\n", " lines"), ("café", " größer"), ("", " an empty context"), ("", "x"),
         ("<s>begun", " already"), ("a b", "c")]


def text_level():
    pairs = {}
    for name in ("tokenizer-llama", "tokenizer-gpt2"):
        model = language_model(AutoTokenizer.from_pretrained(FIXTURES / "data" / name))
        pairs[name] = []
        for context, continuation in TEXTS:
            seen = []
            model._loglikelihood_tokens = lambda requests, **_: seen.extend(requests)
            request = type("Request", (), {"args": (context, continuation)})
            model.loglikelihood([request], disable_tqdm=True)
            pairs[name].append({"text": [context, continuation],
                                "context": seen[0][1], "continuation": seen[0][2]})
    return pairs


def rows_of(path, **options):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file, **options))


def mmlu_docs(path):
    return [{"question": row[0], "choices": row[1:5], "answer": "ABCD".index(row[5])}
            for row in rows_of(path)]


def glue_docs(path, labels, names, columns=None):
    """As the Hugging Face data set `glue` reads the TSV files: broken rows left out."""
    rows = rows_of(path, delimiter="\t", quoting=csv.QUOTE_NONE)
    header = columns or rows.pop(0)
    docs = []
    for row in rows:
        fields = dict(zip(header, row))
        if all(name in fields for name in names):
            docs.append({key: fields[name] for name, key in names.items() if key != "label"}
                        | {"label": labels.index(next(fields[n] for n in names if names[n] == "label"))})
    return docs


def arc_docs(path):
    docs = []
    for line in path.read_text().splitlines():
        record = json.loads(line)
        choices, answer = record["choices"], record.get("answer", record.get("answerKey"))
        texts = choices["text"] if isinstance(choices, dict) else choices
        index = (answer if isinstance(answer, int) else texts.index(answer) if answer in texts
                 else 0 if answer == "1" else "ABCD".index(answer))
        labels = list("ABCD"[:len(texts)])
        docs.append({"question": record["question"], "answerKey": labels[index],
                     "choices": {"text": texts, "label": labels}})
    return docs


def run(model, name, config, docs, shots=0, shot_docs=None):
    with tempfile.TemporaryDirectory() as folder:
        files = {"validation": docs} | ({"train": shot_docs} if shot_docs else {})
        for split, records in files.items():
            (Path(folder) / f"{split}.json").write_text("\n".join(map(json.dumps, records)))
        config = config | {
            "task": name, "dataset_path": "json", "dataset_name": None, "test_split": None,
            "dataset_kwargs": {"data_files": {s: f"{folder}/{s}.json" for s in files}},
            "training_split": "train" if shot_docs else None, "validation_split": "validation",
            "fewshot_split": "train" if shot_docs else None,
            "fewshot_config": {"sampler": "first_n"} if shot_docs else None}
        config = {key: value for key, value in config.items() if key not in ("tag", "include")}
        results = lm_eval.simple_evaluate(model=model, tasks=[config], num_fewshot=shots,
                                          bootstrap_iters=2000, log_samples=True)
    samples = sorted(results["samples"][name], key=lambda sample: sample["doc_id"])
    metrics = {}
    for key, value in results["results"][name].items():
        if key.endswith(",none"):
            metric = key[:-len(",none")]
            metrics[metric] = value
    return {
        "shots": shots, "metrics": metrics,
        "prompts": [s["arguments"][0][0] if isinstance(s["arguments"], list)
                    else s["arguments"]["gen_args_0"]["arg_0"] for s in samples],
        "continuations": [[a[1] for a in s["arguments"]] for s in samples],
        "logLikelihoods": [[float(r[0]) for r in s["filtered_resps"]] for s in samples]}


def tasks(model):
    found = {}
    leaves = {}
    for path in sorted((DATA / "mmlu/test").glob("*_test.csv")):
        subject = path.name[:-len("_test.csv")]
        config = load_yaml(TASKS / f"mmlu/default/mmlu_{subject}.yaml")
        leaves[subject] = run(model, subject, config, mmlu_docs(path), 2,
                              mmlu_docs(DATA / f"mmlu/dev/{subject}_dev.csv"))
    def pooled(subjects):
        sizes = [len(leaves[s]["prompts"]) for s in subjects]
        values = [leaves[s]["metrics"] for s in subjects]
        return {"acc": aggregate_subtask_metrics([v["acc"] for v in values], sizes),
                "acc_stderr": float(pooled_sample_stderr([v["acc_stderr"] for v in values], sizes))}
    found["mmlu"] = {"subjects": leaves, "all": pooled(list(leaves)),
                     "stem": pooled(["abstract_algebra", "anatomy"])}
    arc = load_yaml(TASKS / "arc/arc_easy.yaml")
    arc["metric_list"] = [{"metric": m, "aggregation": "mean", "higher_is_better": True}
                          for m in ("acc", "acc_norm", "acc_bytes")]
    found["choices"] = run(model, "choices", arc, arc_docs(DATA / "choices/test.jsonl"), 1,
                           arc_docs(DATA / "choices/dev.jsonl"))
    binary, entailment = ["0", "1"], ["entailment", "not_entailment"]
    three = ["entailment", "neutral", "contradiction"]
    pair = {"sentence1": "sentence1", "sentence2": "sentence2", "label": "label"}
    mnli = {"sentence1": "premise", "sentence2": "hypothesis", "gold_label": "label"}
    glue = {
        "cola": ("CoLA/dev.tsv", binary, {"sentence": "sentence", "label": "label"},
                 ["source", "label", "mark", "sentence"]),
        "sst2": ("SST-2/dev.tsv", binary, {"sentence": "sentence", "label": "label"}),
        "mrpc": ("MRPC/dev.tsv", binary, {"#1 String": "sentence1", "#2 String": "sentence2",
                                          "Quality": "label"}),
        "qqp": ("QQP/dev.tsv", binary, {"question1": "question1", "question2": "question2",
                                        "is_duplicate": "label"}),
        "mnli": ("MNLI/dev_matched.tsv", three, mnli),
        "mnli_mismatch": ("MNLI/dev_mismatched.tsv", three, mnli),
        "qnli": ("QNLI/dev.tsv", entailment, {"question": "question", "sentence": "sentence",
                                              "label": "label"}),
        "rte": ("RTE/dev.tsv", entailment, pair),
        "wnli": ("WNLI/dev.tsv", binary, pair),
    }
    for name, (file, labels, names, *columns) in glue.items():
        folder = name.split("_")[0]
        yaml = "mismatch.yaml" if name == "mnli_mismatch" else "default.yaml"
        shots = {"shots": 1, "shot_docs": glue_docs(DATA / "glue/SST-2/train.tsv", labels, names)} \
            if name == "sst2" else {}
        found[name] = {"folder": file.split("/")[0]} | run(
            model, name, load_yaml(TASKS / f"glue/{folder}/{yaml}"),
            glue_docs(DATA / "glue" / file, labels, names, *columns), **shots)
    return found


def metric_cases():
    rnd = random.Random(7)
    cases = []
    for n, agreement in [(2, 0.5), (7, 0.9), (40, 0.7), (400, 0.6), (400, 0.3)]:
        gold = [rnd.randrange(2) for _ in range(n)]
        predicted = [g if rnd.random() < agreement else 1 - g for g in gold]
        cases.append((gold, predicted))
    cases += [([0, 0, 0], [0, 0, 0]), ([1, 1, 1], [1, 1, 1]), ([0, 1, 1], [0, 0, 0])]
    found = []
    for gold, predicted in cases:
        items = list(zip(gold, predicted))
        right = [float(g == p) for g, p in items]
        case = {"gold": gold, "predicted": predicted, "f1": float(f1_score(items)),
                "mcc": float(matthews_corrcoef(items)), "acc_stderr": mean_stderr(right)}
        if len(gold) >= 40:
            case["f1_stderr"] = bootstrap_stderr(f1_score, items, 2000)
            case["mcc_stderr"] = bootstrap_stderr(matthews_corrcoef, items, 2000)
        found.append(case)
    return found


def write(name, value):
    (DATA / name).write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    tokenizer = byte_tokenizer()
    write("log_likelihoods.json", token_level(tokenizer) | {"pairs": text_level()})
    write("tasks.json", tasks(language_model(tokenizer)))
    write("metrics.json", metric_cases())
