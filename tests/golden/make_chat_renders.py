"""Writes tests/fixtures/jinja/renders.json.gz: dialogues as transformers renders them.

    python tests/golden/make_chat_renders.py [templates] [out.json.gz]       (transformers 5)

The templates are those of tests/fixtures/jinja/templates (or of another folder), written for this
purpose in the manner of the models they are named after; the dialogues are in dialogues.json beside
them. Each is rendered with and without a generation prompt; where a template fails or refuses, null.
Templates with generation marks have the ranges of characters between them as well.
"""
import gzip
import json
import sys
from datetime import datetime
from pathlib import Path

from transformers.utils import chat_template_utils

ROOT = Path(__file__).parent.parent / "fixtures" / "jinja"
FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "templates"
OUT = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "renders.json.gz"
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


class Day(datetime):
    @classmethod
    def now(cls):
        return cls(2024, 3, 5, 12, 0, 0)


chat_template_utils.datetime = Day


def render(source, dialogue, tools, prompt):
    try:
        (text,), _ = chat_template_utils.render_jinja_template(
            conversations=[dialogue["messages"]], tools=tools if dialogue.get("tools") else None,
            chat_template=source, add_generation_prompt=prompt, **SPECIAL)
        return text
    except Exception as error:
        return None


def marked(source, dialogue):
    try:
        _, (indices,) = chat_template_utils.render_jinja_template(
            conversations=[dialogue["messages"]], chat_template=source,
            return_assistant_tokens_mask=True, **SPECIAL)
        return indices
    except Exception:
        return None


data = json.loads((ROOT / "dialogues.json").read_text())
renders, generated, refused = {}, {}, 0
for path in sorted(FOLDER.glob("*.jinja")):
    source = path.read_bytes().decode()
    renders[path.stem] = [[render(source, dialogue, data["tools"], prompt)
                           for prompt in (False, True)] for dialogue in data["dialogues"]]
    # Inside of a macro, transformers counts from the start of the macro's own text.
    if "{% generation" in source and "{%- macro" not in source:
        generated[path.stem] = [marked(source, dialogue) for dialogue in data["dialogues"]]
    refused += sum(text is None for pair in renders[path.stem] for text in pair)
text = json.dumps({"renders": renders, "generated": generated}, ensure_ascii=False, indent=0)
OUT.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
print(len(renders), "templates,", len(data["dialogues"]), "dialogues,", refused, "refused,",
      OUT.stat().st_size, "bytes")
