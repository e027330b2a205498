"""Writes tests/fixtures/instruct: a chat tokenizer, Alpaca data, what transformers makes of them.

    python tests/golden/make_instruct.py [alpaca.json]        (transformers, jinja2, pyarrow)

With a path, alpaca.json is made anew from the first 20 entries of that file.
`rendered.json`: each of our templates over each dialogue, by transformers' own Jinja: the text, its
token ids and the mask of the assistant's tokens that `{% generation %}` gives. `foreign` are
templates written in the manner of published ones, without such marks.
"""
import json
import re
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from transformers import AutoTokenizer

ROOT = Path(__file__).parent.parent.parent
OUT = ROOT / "tests" / "fixtures" / "instruct"
DATA = ROOT / "tests" / "fixtures" / "data"
TEMPLATES = {path.stem: path.read_text()
             for path in sorted((ROOT / "src/data/instruct/templates").glob("*.jinja"))}
PLAIN = ["alpaca", "vicuna"]  # with BOS only where the tokenizer begins its texts with it

INSTRUCTED = [("chat", "chatml"), ("llama", "llama2"), ("llama", "alpaca")]

SPECIAL = ["<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|start_header_id|>",
           "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>", "<end_of_turn>"]

DIALOGUES = [
    [{"role": "user", "content": "Who is there?"},
     {"role": "assistant", "content": "Nay, answer me: stand, and unfold yourself."}],
    [{"role": "system", "content": "Speak as in a play."},
     {"role": "user", "content": "What news?"},
     {"role": "assistant", "content": "None, my lord."},
     {"role": "user", "content": "  And now?\n"},
     {"role": "assistant", "content": "Still \"none\".\n\n1. It's late\n2. naïve café 漢字 🙂"},
     {"role": "user", "content": "{{ no }} {% template %}"},
     {"role": "assistant", "content": "  Good night.  \n"}],
    [{"role": "user", "content": "A"}, {"role": "assistant", "content": ""},
     {"role": "user", "content": "<|im_end|></s> in the text"},
     {"role": "assistant", "content": "</s>B<|eot_id|>"}],
    [{"role": "system", "content": ""}, {"role": "user", "content": "ends with the user"},
     {"role": "assistant", "content": "yes"}, {"role": "user", "content": "so it does"}],
]

# In the manner of ChatML's, LLaMA 3.1's (dates, tools), Qwen 3's (takes out earlier thoughts) and
# DeepSeek R1's (opens a thought for the model) templates.
FOREIGN = {
    "chatml": "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
              "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
              "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "dated": """{{- bos_token }}
{%- if tools is not none and tools %}
    {{- "Tools: " }}
    {%- for tool in tools %}
        {{- tool | tojson(indent=4) }}
    {%- endfor %}
{%- endif %}
{%- set ns = namespace(seen=0) %}
{{- "Today Date: " + strftime_now("%d %b %Y") + "\\n\\n" }}
{%- for message in messages %}
    {%- set ns.seen = ns.seen + 1 %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}
    {%- if message.tool_calls is defined %}
        {%- for call in message.tool_calls %}
            {{- '{"name": "' + call.function.name + '", ' }}
            {{- '"parameters": ' + call.function.arguments | tojson + '}' }}
        {%- endfor %}
    {%- endif %}
    {{- message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "thinking": """{%- set ns = namespace(last=-1) %}
{%- for message in messages %}
    {%- if message.role == 'user' %}{%- set ns.last = loop.index0 %}{%- endif %}
{%- endfor %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {%- if message.role == 'assistant' %}
        {%- set said = message.content.split('</think>')[-1].lstrip('\\n') %}
        {%- if loop.index0 > ns.last %}
            {{- '<think>\\n\\n</think>\\n\\n' }}
        {%- endif %}
        {{- said }}
    {%- else %}
        {{- message.content }}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""",
    "opened": """{% for message in messages %}{% if message.role == 'user' %}
{{- '<user>' + message.content }}{% elif message.role == 'assistant' %}
{{- '<assistant>' + message.content + eos_token }}{% endif %}{% endfor %}
{%- if add_generation_prompt %}{{ '<assistant><think>\\n' }}{% endif %}
""",
}

TOOLS = [{"type": "function", "function": {
    "name": "weather", "description": "The weather of a \"place\", é",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}}}}]
CALLING = [{"role": "user", "content": "Is it warm in Køln?"},
           {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {
               "name": "weather", "arguments": {"place": "Køln", "days": [1, 2.5, True, None]}}}]},
           {"role": "tool", "content": "23"},
           {"role": "assistant", "content": "It is."}]


def chat_tokenizer():
    tokenizer = AutoTokenizer.from_pretrained(DATA / "tokenizer-gpt2")
    tokenizer.add_special_tokens({"additional_special_tokens": SPECIAL})
    tokenizer.bos_token = "<|begin_of_text|>"
    tokenizer.save_pretrained(OUT / "tokenizer-chat")
    (OUT / "tokenizer-chat" / "README.md").unlink(missing_ok=True)
    return AutoTokenizer.from_pretrained(OUT / "tokenizer-chat")


def apply(tokenizer, messages, template, **options):
    encoded = tokenizer.apply_chat_template(
        messages, chat_template=template, tokenize=True, return_dict=True,
        return_assistant_tokens_mask="generation %}" in template, **options)
    text = tokenizer.apply_chat_template(
        messages, chat_template=template, tokenize=False, **options)
    case = {"text": text, "ids": encoded["input_ids"]}
    if "assistant_masks" in encoded:
        case["mask"] = "".join(map(str, encoded["assistant_masks"]))
    return case


OUT.mkdir(parents=True, exist_ok=True)
if len(sys.argv) > 1:
    entries = json.loads(Path(sys.argv[1]).read_text())[:20]
    (OUT / "alpaca.json").write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n")
alpaca = json.loads((OUT / "alpaca.json").read_text())
tokenizers = {"chat": chat_tokenizer(),
              "llama": AutoTokenizer.from_pretrained(DATA / "tokenizer-llama")}

rendered, instructed = [], []
for name, tokenizer in tokenizers.items():
    begins = tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id]
    for template, source in TEMPLATES.items():
        if template in PLAIN and not begins:
            source = source.replace("{{- bos_token -}}\n", "")
        for index, dialogue in enumerate(DIALOGUES):
            prompt = tokenizer.apply_chat_template(
                dialogue[:-1], chat_template=source, tokenize=False, add_generation_prompt=True)
            rendered.append({"tokenizer": name, "template": template, "dialogue": index,
                             **apply(tokenizer, dialogue, source), "prompt": prompt})
        for index, entry in enumerate(alpaca):
            if (name, template) not in INSTRUCTED:
                continue
            asked = entry["instruction"] + ("\n" + entry["input"] if entry["input"] else "")
            messages = [{"role": "user", "content": asked},
                        {"role": "assistant", "content": entry["output"]}]
            case = apply(tokenizer, messages, source)
            instructed.append({"tokenizer": name, "template": template, "entry": index,
                               "ids": case["ids"], "mask": case["mask"]})

foreign = []
day = lambda text: re.sub(r"Today Date: .*", "Today Date: 05 Mar 2024", text)
for template, source in FOREIGN.items():
    for index, dialogue in enumerate(DIALOGUES + [CALLING]):
        if index == len(DIALOGUES) and template != "dated":
            continue
        tools = {"tools": TOOLS} if index == len(DIALOGUES) else {}
        case = {"template": template, "dialogue": index, **tools,
                "text": tokenizers["chat"].apply_chat_template(
                    dialogue, chat_template=source, tokenize=False, **tools)}
        case["text"] = day(case["text"])
        foreign.append(case)

dump = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
lines = lambda values: "[\n" + ",\n".join(map(dump, values)) + "\n]"
(OUT / "rendered.json").write_text("{" + ",\n".join([
    f'"dialogues": {lines(DIALOGUES + [CALLING])}', f'"templates": {dump(FOREIGN)}',
    f'"rendered": {lines(rendered)}', f'"foreign": {lines(foreign)}',
    f'"instructed": {lines(instructed)}']) + "}\n")

tags = {"user": "human", "assistant": "gpt", "system": "system"}
shared = [{"conversations": [{"from": tags[m["role"]], "value": m["content"]} for m in dialogue]}
          for dialogue in DIALOGUES]
pq.write_table(pa.Table.from_pylist(shared), OUT / "sharegpt.parquet", row_group_size=3)
(OUT / "sharegpt.jsonl").write_text("".join(dump(entry) + "\n" for entry in shared))
