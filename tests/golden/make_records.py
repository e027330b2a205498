"""Records from the field and what transformers renders of them, in tests/fixtures/instruct/.

calls.json: dialogues with calls and tools (OpenAI's forms), templates, and the text of each;
weights.parquet, numbers.parquet, tools.parquet: what Arrow makes of such records.

    python3 tests/golden/make_records.py        (transformers, pyarrow)
"""
import copy
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from transformers.utils.chat_template_utils import render_jinja_template

OUT = Path(__file__).parent.parent / "fixtures" / "instruct"

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
TOOLED = (
    "{% if tools %}{{ '<|im_start|>system\\n' }}{% for t in tools %}{{ t | tojson }}{{ '\\n' }}{% endfor %}"
    "{{ '<|im_end|>\\n' }}{% endif %}{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}"
    "{% if m.tool_calls %}{% for c in m.tool_calls %}{{ '<tool_call>{\"name\": \"' + c.function.name + '\", "
    "\"arguments\": ' }}{{ c.function.arguments | tojson }}{{ '}</tool_call>' }}{% endfor %}"
    "{% else %}{{ m.content }}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
R1 = (
    "{% for m in messages %}{% set c = m.content %}{% if m.role == 'assistant' and '</think>' in c %}"
    "{% set c = c.split('</think>')[-1] %}{% endif %}{{ '<|im_start|>' + m.role + '\\n' + c + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>\\n' }}{% endif %}"
)
TEMPLATES = {"chatml": CHATML, "tooled": TOOLED, "r1": R1}

# Digits, spelling and the order of keys must survive, as a string and as an object.
ARGUMENTS = [
    '{"city": "Oslo"}',
    '{"city": "Tromsø \\"north\\"", "days": 3}',
    '{"b": 1.0, "a": 1e-7, "big": 12345678901234567890, "10": [true, null, -0.5], "9": {}}',
    "{}",
]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a place",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": None, "enum": [1, None]}},
            "required": ["city"],
        },
    },
}


def user(text):
    return {"role": "user", "content": text}


def answer(text):
    return {"role": "assistant", "content": text}


def call(arguments):
    return {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": arguments}}


def render(template, messages, tools=None):
    texts, _ = render_jinja_template(conversations=[messages], tools=tools, chat_template=TEMPLATES[template])
    return texts[0]


cases = []
for text in ARGUMENTS:
    given = json.loads(text)
    shown = [
        user("How is it?"),
        {"role": "assistant", "content": None, "tool_calls": [call(given)]},
        {"role": "tool", "content": "4", "tool_call_id": "c1"},
        answer("4 degrees."),
    ]
    expected = render("tooled", shown, [TOOL])
    tools = json.dumps([TOOL])

    def line(first, extra):
        first = json.dumps(first, ensure_ascii=False).replace('"ARGUMENTS"', text)
        rest = json.dumps(shown[2:] if "tool_calls" in first else [{"role": "function", "name": "weather", "content": "4"}, shown[3]])
        return '{"messages": [%s, %s, %s], %s}' % (json.dumps(shown[0]), first, rest[1:-1], extra)

    as_object = {**shown[1], "tool_calls": [call("ARGUMENTS")]}
    as_string = {**shown[1], "tool_calls": [call(text)]}
    older = {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": text}}
    cases.append({
        "template": "tooled",
        "lines": [
            line(as_object, '"tools": ' + tools),
            line(as_string, '"tools": ' + tools),
            line(as_string, '"tools": ' + json.dumps(tools)),
            line(older, '"functions": ' + json.dumps([TOOL["function"]])),
        ],
        "text": expected,
    })

# Arrow gives every tool the parameters of all: what is trained is the text of the tools as they were.
tools = [
    {"name": "a", "parameters": {"properties": {"x": {"type": "string"}}}},
    {"name": "b", "parameters": {"properties": {"y": {"type": "integer"}}}},
]
dialogue = [user("hi"), answer("yo")]
cases.append({"template": "tooled", "file": "tools.parquet", "text": render("tooled", dialogue, tools)})
weighted = [[user("2+2?"), answer("five"), user("sure?"), answer("four")]]
cases.append({"template": "chatml", "file": "weights.parquet", "text": render("chatml", weighted[0])})
thought = [user("17*3?"), answer("<think>\n17*3 = 51\n</think>\n\n51")]
cases.append({"template": "r1", "lines": [json.dumps({"messages": thought})], "text": render("r1", thought)})

(OUT / "calls.json").write_text(json.dumps({"templates": TEMPLATES, "cases": cases}, ensure_ascii=False, indent=1) + "\n")

string = pa.string()
rows = copy.deepcopy(weighted)
for message, weight in zip(rows[0], [None, 0, None, 1]):
    message["weight"] = weight
schema = pa.list_(pa.struct([("role", string), ("content", string), ("weight", pa.int64())]))
pq.write_table(pa.table({"messages": pa.array(rows, schema)}), OUT / "weights.parquet")
pq.write_table(pa.table({"instruction": ["how many?"] * 2, "output": [1, 2**60]}), OUT / "numbers.parquet")
pq.write_table(pa.table({"messages": pa.array([dialogue]), "tools": pa.array([tools])}), OUT / "tools.parquet")
print(len(cases), "cases")
