"""JSON texts and what Python's json module writes them back as, in tests/fixtures/json_values.json.

    python3 tests/golden/make_json_values.py
"""
import json
import random
from pathlib import Path

HERE = Path(__file__).parent.parent / "fixtures" / "json_values.json"
KEYS = ["name", "2", "10", "1", "01", "-1", "4294967294", "4294967295", "a b", "", "é", "\\\"", "0"]
INTEGERS = ["0", "7", "-12", "9007199254740993", "12345678901234567890", "-170141183460469231731687"]
STRINGS = ['"x"', '"1.0, 2e5"', '"{\\"1\\": 1.0}"', '"\\u00e9\\ud83d\\ude00"', '"a\\\\"', '""']


def value(random, depth):
    kind = random.randrange(7 if depth else 5)
    if kind == 0:
        return random.choice(INTEGERS)
    if kind == 1:
        return random.choice(["1.0", "0.5", "1e-07", "1e+16", "-0.0", "3.14", "100.0", "1.5e+300"])
    if kind == 2:
        return random.choice(STRINGS)
    if kind == 3:
        return random.choice(["true", "false", "null"])
    space = random.choice(["", " ", "\n  "])
    if kind in (4, 5):
        items = [value(random, depth - 1) for _ in range(random.randrange(4))] if depth else []
        return "[" + space + ("," + space).join(items) + space + "]"
    fields = ['"%s"%s: %s' % (random.choice(KEYS), space, value(random, depth - 1)) for _ in range(random.randrange(6))]
    return "{" + space + ("," + space).join(fields) + space + "}"


generator = random.Random(1)
texts = [value(generator, 4) for _ in range(600)]
texts = sorted({text for text in texts if len(text) > 8})
cases = [[text, json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))] for text in texts]
HERE.write_text(json.dumps(cases, ensure_ascii=False, indent=0) + "\n")
print(len(cases), "cases")
