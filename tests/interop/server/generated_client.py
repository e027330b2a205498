"""A job from upload to a chat with its result, by the client that openapi-python-client makes.

    python tests/interop/server/generated_client.py <server's URL>

The package trainer_client is what was made of the server's document; mypy checks both, strictly.
"""
import asyncio
import io
import json
import sys
import time
from http import HTTPStatus
from typing import TypeVar

from trainer_client import Client
from trainer_client.api.files import create_file, delete_file, download_file, list_files, retrieve_file
from trainer_client.api.fine_tuning import (create_fine_tuning_job, list_fine_tuning_job_checkpoints,
                                            list_paginated_fine_tuning_jobs, plan_fine_tuning_job,
                                            retrieve_fine_tuning_job, retrieve_fine_tuning_job_metrics)
from trainer_client.api.jobs import list_fine_tuning_events
from trainer_client.api.models import (create_chat_completion, create_completion, delete_model,
                                       list_models, retrieve_model)
from trainer_client.api.server import check_health
from trainer_client.models import (ChatMessage, ChatMessageRole, CreateChatCompletionRequest,
                                   CreateCompletionRequest, CreateFileBody, CreateFileBodyPurpose,
                                   CreateFineTuningJob, ErrorResponse, FineTuningHyperparameters,
                                   FineTuningHyperparametersOptimizer, FineTuningMethod,
                                   FineTuningMethodSupervisedType0, JobStatus, PlanFineTuningJob)
from trainer_client.types import File, Response

T = TypeVar("T")


def good(what: str, response: Response[T | ErrorResponse]) -> T:
    """The operation's answer, unless it is an error's."""
    parsed = response.parsed
    if response.status_code != HTTPStatus.OK or parsed is None or isinstance(parsed, ErrorResponse):
        raise SystemExit(f"{what}: {response.status_code} {response.content!r}")
    assert response.headers["x-request-id"].startswith("req_")
    print(f"  {what}: {response.status_code.value}")
    return parsed


client = Client(base_url=sys.argv[1])
good("checkHealth", check_health.sync_detailed(client=client))
dialogue = {"messages": [{"role": "user", "content": "Which planet is red?"},
                         {"role": "assistant", "content": "Mars is."}]}
content = (json.dumps(dialogue) + "\n").encode() * 12
body = CreateFileBody(file=File(payload=io.BytesIO(content), file_name="planets.jsonl"),
                      purpose=CreateFileBodyPurpose.FINE_TUNE)
file = good("createFile", create_file.sync_detailed(client=client, body=body))
good("retrieveFile", retrieve_file.sync_detailed(file.id, client=client))
files = good("listFiles", list_files.sync_detailed(client=client))
assert file.id in [each.id for each in files.data]
download = download_file.sync_detailed(file.id, client=client)
assert download.status_code == HTTPStatus.OK and download.content == content
print("  downloadFile: 200")

hyperparameters = FineTuningHyperparameters(n_epochs=1, batch_size=2, seq_len=64, packing=False,
                                            optimizer=FineTuningHyperparametersOptimizer.ADAMW,
                                            eval_share=0, save_every=2)
request = CreateFineTuningJob(
    model="tiny", training_file=file.id, suffix=None,
    method=FineTuningMethod(type_="supervised",
                            supervised=FineTuningMethodSupervisedType0(hyperparameters=hyperparameters)))
wanted = PlanFineTuningJob.from_dict(request.to_dict())
plan = good("planFineTuningJob", plan_fine_tuning_job.sync_detailed(client=client, body=wanted))
assert plan.fits and plan.planned_peak_bytes > 0
job = good("createFineTuningJob", create_fine_tuning_job.sync_detailed(client=client, body=request))
while job.status not in (JobStatus.SUCCEEDED, JobStatus.FAILED):
    time.sleep(0.2)
    polled = retrieve_fine_tuning_job.sync(job.id, client=client)
    assert polled is not None and not isinstance(polled, ErrorResponse)
    job = polled
assert job.status == JobStatus.SUCCEEDED and job.fine_tuned_model is not None, job
print("  retrieveFineTuningJob, until it has succeeded: 200")
assert job.finished_at is not None and job.finished_at >= job.created_at
events = good("listFineTuningEvents", list_fine_tuning_events.sync_detailed(job.id, client=client))
assert not isinstance(events, str) and "completed" in events.data[0].message
checkpoints = good("listFineTuningJobCheckpoints",
                   list_fine_tuning_job_checkpoints.sync_detailed(job.id, client=client))
assert checkpoints.data[0].step_number > 0
curves = good("retrieveFineTuningJobMetrics",
              retrieve_fine_tuning_job_metrics.sync_detailed(job.id, client=client))
assert curves.steps[0].train_loss > 0
jobs = good("listPaginatedFineTuningJobs",
            list_paginated_fine_tuning_jobs.sync_detailed(client=client, limit=1))
assert jobs.data[0].id == job.id

model: str = job.fine_tuned_model
assert model in [each.id for each in good("listModels", list_models.sync_detailed(client=client)).data]
good("retrieveModel", retrieve_model.sync_detailed(model, client=client))
question = ChatMessage(role=ChatMessageRole.USER, content="Which planet is red?")
chat_request = CreateChatCompletionRequest(model=model, messages=[question], max_tokens=4)
chat = good("createChatCompletion", create_chat_completion.sync_detailed(client=client, body=chat_request))
assert not isinstance(chat, str) and chat.usage.completion_tokens > 0
said: str = chat.choices[0].message.content
completion_request = CreateCompletionRequest(model=model, prompt="Mars", max_tokens=4)
completion = asyncio.run(create_completion.asyncio_detailed(client=client, body=completion_request))
assert len(good("createCompletion, async", completion).choices) == 1

unknown = retrieve_file.sync_detailed("none", client=client)
assert unknown.status_code == HTTPStatus.NOT_FOUND and isinstance(unknown.parsed, ErrorResponse)
assert unknown.parsed.error.code == "not_found"
print("  retrieveFile, of a file that is not there: 404")
good("deleteModel", delete_model.sync_detailed(model, client=client))
good("deleteFile", delete_file.sync_detailed(file.id, client=client))
