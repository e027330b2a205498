"""A job through OpenAI's Python client, from a file to a conversation:

    python -m venv .venv && .venv/bin/pip install openai
    .venv/bin/python examples/server/openai_client.py \
        http://127.0.0.1:8000/v1 my-model examples/data/planets.jsonl

`my-model` is the name of a folder or a .gguf file in the server's models folder. If the server
has keys, set OPENAI_API_KEY to one of them.
"""

import os
import sys

from openai import OpenAI, Stream
from openai.types.fine_tuning import FineTuningJobEvent

url, model, path = sys.argv[1:]
client = OpenAI(base_url=url, api_key=os.environ.get("OPENAI_API_KEY") or "none")

with open(path, "rb") as data:
    file = client.files.create(file=data, purpose="fine-tune")
# Besides OpenAI's own, every option of `finetune`, in snake case.
hyperparameters = {"n_epochs": 3, "batch_size": 1, "optimizer": "lora", "seq_len": 256}
job = client.fine_tuning.jobs.create(
    model=model,
    training_file=file.id,
    method={"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
)
events = client.get(
    f"/fine_tuning/jobs/{job.id}/events",
    cast_to=FineTuningJobEvent,
    options={"params": {"stream": "true"}},
    stream=True,
    stream_cls=Stream[FineTuningJobEvent],
)
for event in events:
    print(event.message)

for checkpoint in client.fine_tuning.jobs.checkpoints.list(job.id):
    print(f"step {checkpoint.step_number}: {checkpoint.fine_tuned_model_checkpoint}")
job = client.fine_tuning.jobs.retrieve(job.id)
if job.fine_tuned_model is None:
    sys.exit(f"{job.id} {job.status}: {job.error}")

question = {"role": "user", "content": "Which planet is closest to the Sun?"}
for chunk in client.chat.completions.create(
    model=job.fine_tuned_model, messages=[question], max_tokens=64, stream=True
):
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
