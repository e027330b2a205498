"""Calls of Python's clients, unmodified: each works, or is refused with the server's reason.

    python tests/interop/server/python_clients.py <base URL, with /v1> <key>

Prints a line of JSON a call. The models folder has `tiny`, a chat model of 512 positions.
"""
import asyncio
import json
import os
import sys
import time

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # nothing is fetched
URL, KEY = sys.argv[1:]
DIALOGUE = {"messages": [{"role": "user", "content": "Which planet is red?"},
                         {"role": "assistant", "content": "Mars is."}]}
DATA = (json.dumps(DIALOGUE) + "\n").encode() * 12
QUESTION = DIALOGUE["messages"][:1]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
failed = 0


def report(client, call, outcome, reason=""):
    print(json.dumps({"client": client, "call": call, "outcome": outcome, "reason": reason}), flush=True)


class Calls:
    """The calls of one client."""

    def __init__(self, client):
        self.client = client

    def works(self, call, run, check=lambda value: True):
        """Runs it; its value must satisfy the check."""
        global failed
        try:
            value = run()
            if asyncio.iscoroutine(value):
                value = asyncio.run(value)
            assert check(value), f"answered {value!r}"[:400]
            report(self.client, call, "works")
            return value
        except Exception as error:  # the table goes on
            failed += 1
            report(self.client, call, "BROKEN", f"{type(error).__name__}: {error}"[:400])

    def refused(self, call, run, kind, reason):
        """Must raise this class, with a message that says why."""
        global failed
        try:
            value = run()
            if asyncio.iscoroutine(value):
                value = asyncio.run(value)
            failed += 1
            report(self.client, call, "BROKEN", f"was accepted: {value!r}"[:300])
        except kind as error:
            said = reason in str(error)
            failed += not said
            report(self.client, call, "refused" if said else "BROKEN", str(error)[:300])
        except Exception as error:
            failed += 1
            report(self.client, call, "BROKEN", f"{type(error).__name__}: {error}"[:400])


def openai_calls():
    import openai
    client = openai.OpenAI(base_url=URL, api_key=KEY, max_retries=0)
    calls = Calls(f"openai (Python) {openai.__version__}")
    files, jobs, chat = client.files, client.fine_tuning.jobs, client.chat.completions

    file = calls.works("files.create", lambda: files.create(file=("planets.jsonl", DATA), purpose="fine-tune"),
                       lambda file: file.status == "processed" and file.bytes == len(DATA))
    calls.works("files.create, bytes without a name", lambda: files.create(file=DATA, purpose="fine-tune"))
    calls.works("files.create, expires_after", lambda: files.create(
        file=("soon.jsonl", DATA), purpose="fine-tune",
        expires_after={"anchor": "created_at", "seconds": 3600}), lambda file: file.expires_at)
    calls.works("files.wait_for_processing", lambda: files.wait_for_processing(file.id))
    calls.works("files.list, page by page", lambda: list(files.list(limit=1)), lambda all: len(all) == 3)
    calls.works("files.retrieve", lambda: files.retrieve(file.id))
    calls.works("files.content", lambda: files.content(file.id).read(), lambda content: content == DATA)

    def hyperparameters(**more):
        return {"type": "supervised", "supervised": {"hyperparameters": {
            "n_epochs": 1, "batch_size": 2, "optimizer": "adamw", "seq_len": 64, "packing": False,
            "eval_share": 0, "save_every": 2, **more}}}

    def ended(id, *statuses):
        while True:
            job = jobs.retrieve(id)
            if job.status in statuses or job.status in ("failed", "cancelled", "succeeded"):
                return job
            time.sleep(0.2)

    job = calls.works("fine_tuning.jobs.create", lambda: jobs.create(
        model="tiny", training_file=file.id, suffix="mine", seed=7, metadata={"team": "a"},
        method=hyperparameters()), lambda job: job.object == "fine_tuning.job")
    calls.works("fine_tuning.jobs.retrieve, until it has ended", lambda: ended(job.id),
                lambda job: job.status == "succeeded" and job.fine_tuned_model)
    model = ended(job.id).fine_tuned_model
    calls.works("fine_tuning.jobs.list, by metadata",
                lambda: list(jobs.list(metadata={"team": "a"})), lambda all: [each.id for each in all] == [job.id])
    calls.works("fine_tuning.jobs.list_events, page by page",
                lambda: list(jobs.list_events(job.id, limit=3)), lambda all: len(all) > 6)
    calls.works("fine_tuning.jobs.checkpoints.list", lambda: list(jobs.checkpoints.list(job.id)),
                lambda all: all[0].step_number == 6)
    calls.works("files.content, of a job's results", lambda: files.content(ended(job.id).result_files[0]).text)
    long = calls.works("fine_tuning.jobs.create, older hyperparameters", lambda: jobs.create(
        model="tiny", training_file=file.id, hyperparameters={"n_epochs": 400, "batch_size": 1, "seq_len": 64}))
    ended(long.id, "running")
    calls.works("fine_tuning.jobs.pause", lambda: jobs.pause(long.id))
    calls.works("fine_tuning.jobs.retrieve, paused", lambda: ended(long.id, "paused"),
                lambda job: job.status == "paused")
    calls.works("fine_tuning.jobs.resume", lambda: jobs.resume(long.id))
    calls.refused("files.delete, of a file in use", lambda: files.delete(file.id),
                  openai.ConflictError, "is in use")
    calls.works("fine_tuning.jobs.cancel", lambda: jobs.cancel(long.id))
    ended(long.id, "cancelled")
    calls.refused("fine_tuning.jobs.create, another method", lambda: jobs.create(
        model="tiny", training_file=file.id, method={"type": "dpo"}), openai.BadRequestError, "supervised")
    calls.refused("fine_tuning.jobs.create, integrations", lambda: jobs.create(
        model="tiny", training_file=file.id, integrations=[{"type": "wandb", "wandb": {"project": "x"}}]),
        openai.BadRequestError, "integrations")

    calls.works("models.list", lambda: [each.id for each in client.models.list()], lambda ids: model in ids)
    calls.works("models.retrieve", lambda: client.models.retrieve(model), lambda found: found.id == model)
    ask = {"model": model, "messages": QUESTION, "max_tokens": 4}
    calls.works("chat.completions.create", lambda: chat.create(**ask),
                lambda answer: answer.choices[0].message.content is not None and answer.usage.completion_tokens)
    calls.works("chat.completions.create, stream", lambda: list(chat.create(**ask, stream=True)),
                lambda chunks: chunks[-1].choices[0].finish_reason)
    calls.works("chat.completions.create, stream with usage", lambda: list(chat.create(
        **ask, stream=True, stream_options={"include_usage": True})), lambda chunks: chunks[-1].usage.total_tokens)

    def events():
        # The helper raises where an answer reaches its limit: this one ends at a stop string.
        text = chat.create(**ask, temperature=0).choices[0].message.content
        with chat.stream(**ask, temperature=0, stop=[text[0]]) as stream:
            for _ in stream:
                pass
            return stream.get_final_completion()

    calls.works("chat.completions.stream", events, lambda answer: answer.choices[0].finish_reason == "stop")
    calls.works("chat.completions.create, the same seed twice", lambda: [
        chat.create(**ask, seed=5, temperature=1).choices[0].message.content for _ in range(2)],
        lambda texts: texts[0] == texts[1])
    calls.works("chat.completions.with_raw_response", lambda: chat.with_raw_response.create(**ask),
                lambda raw: raw.headers["x-request-id"] == raw.parse()._request_id)
    calls.works("completions.create, echo", lambda: client.completions.create(
        model=model, prompt="Mars", max_tokens=4, echo=True), lambda answer: answer.choices[0].text.startswith("Mars"))
    calls.works("completions.create, stream", lambda: list(client.completions.create(
        model=model, prompt="Mars", max_tokens=4, stream=True)), lambda chunks: len(chunks) > 0)
    for what, more in {"n": {"n": 2}, "tools": {"tools": [TOOL]}, "logprobs": {"logprobs": True},
                       "response_format": {"response_format": {"type": "json_object"}}}.items():
        calls.refused(f"chat.completions.create, {what}", lambda: chat.create(**ask, **more),
                      openai.BadRequestError, "not supported" if what != "n" else "one answer")
    calls.refused("chat.completions.create, more than the model's positions", lambda: chat.create(
        model=model, messages=[{"role": "user", "content": "a b c d " * 400}]), openai.BadRequestError, "512")

    def overflow():
        try:
            chat.create(model=model, messages=[{"role": "user", "content": "a b c d " * 400}])
        except openai.BadRequestError as error:
            return error.code

    calls.works("its code is context_length_exceeded", overflow, lambda code: code == "context_length_exceeded")
    calls.refused("chat.completions.create, unknown model", lambda: chat.create(model="none", messages=QUESTION),
                  openai.NotFoundError, "does not exist")
    calls.refused("with a wrong key", lambda: openai.OpenAI(base_url=URL, api_key="sk-x", max_retries=0).models.list(),
                  openai.AuthenticationError, "Incorrect API key")
    calls.refused("models.delete, a base model", lambda: client.models.delete("tiny"),
                  openai.PermissionDeniedError, "cannot be deleted")
    for what, run in {
        "embeddings.create": lambda: client.embeddings.create(model="tiny", input="a"),
        "responses.create": lambda: client.responses.create(model="tiny", input="a"),
        "images.generate": lambda: client.images.generate(prompt="a"),
        "batches.list": lambda: client.batches.list(),
    }.items():
        calls.refused(what, run, openai.NotFoundError, "Unknown request URL")

    async def asynchronous():
        async with openai.AsyncOpenAI(base_url=URL, api_key=KEY, max_retries=0) as client:
            answers = await asyncio.gather(*[client.chat.completions.create(**ask) for _ in range(4)])
            stream = await client.chat.completions.create(**ask, stream=True)
            chunks = [chunk async for chunk in stream]
            listed = [each.id async for each in client.fine_tuning.jobs.list(limit=1)]
            return len(answers) == 4 and chunks and job.id in listed

    calls.works("AsyncOpenAI: four answers at once, a stream, pages", asynchronous)
    calls.works("models.delete", lambda: client.models.delete(model), lambda gone: gone.deleted)
    calls.works("files.delete", lambda: files.delete(file.id), lambda gone: gone.deleted)
    calls.refused("files.retrieve, deleted", lambda: files.retrieve(file.id), openai.NotFoundError, "No such file")


def langchain_calls():
    import openai
    from importlib.metadata import version
    from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
    calls = Calls(f"langchain-openai {version('langchain-openai')}")
    given = {"base_url": URL, "api_key": KEY, "model": "tiny", "max_retries": 0}
    chat = ChatOpenAI(**given, max_tokens=4)
    calls.works("ChatOpenAI.invoke", lambda: chat.invoke("Hello"),
                lambda answer: isinstance(answer.content, str) and answer.usage_metadata["output_tokens"])
    calls.works("ChatOpenAI.invoke, a conversation", lambda: chat.invoke(
        [("system", "Be brief."), ("human", "Hello"), ("ai", "Hi"), ("human", "Bye")]))
    calls.works("ChatOpenAI.stream", lambda: list(chat.stream("Hello")), lambda chunks: len(chunks) > 0)
    calls.works("ChatOpenAI.batch", lambda: chat.batch(["a", "b"]), lambda answers: len(answers) == 2)
    calls.works("ChatOpenAI.ainvoke", lambda: chat.ainvoke("Hello"))
    calls.works("OpenAI.invoke", lambda: OpenAI(**given, max_tokens=4).invoke("Mars"), lambda text: isinstance(text, str))
    calls.works("OpenAI.stream", lambda: list(OpenAI(**given, max_tokens=4).stream("Mars")))
    calls.refused("ChatOpenAI.bind_tools", lambda: chat.bind_tools([TOOL]).invoke("Hello"),
                  openai.BadRequestError, "do not call functions")
    calls.refused("ChatOpenAI.with_structured_output", lambda: chat.with_structured_output(
        {"title": "x", "description": "x", "type": "object", "properties": {"a": {"type": "string"}}},
        method="json_schema").invoke("Hello"), openai.BadRequestError, "not supported")
    calls.refused("OpenAIEmbeddings.embed_query", lambda: OpenAIEmbeddings(
        **given, check_embedding_ctx_length=False).embed_query("a"), openai.NotFoundError, "Unknown request URL")


def litellm_calls():
    from importlib.metadata import version
    import litellm
    litellm.suppress_debug_info = True
    calls = Calls(f"litellm {version('litellm')}")
    given = {"api_base": URL, "api_key": KEY}
    ask = {"model": "openai/tiny", "messages": QUESTION, "max_tokens": 4, **given}
    calls.works("completion", lambda: litellm.completion(**ask), lambda answer: answer.usage.completion_tokens)
    calls.works("completion, stream", lambda: list(litellm.completion(**ask, stream=True)), lambda chunks: len(chunks) > 0)
    calls.works("acompletion", lambda: litellm.acompletion(**ask), lambda answer: answer.choices[0].message)
    calls.works("text_completion", lambda: litellm.text_completion(
        model="text-completion-openai/tiny", prompt="Mars", max_tokens=4, **given), lambda answer: answer.choices)
    calls.refused("completion, tools", lambda: litellm.completion(**ask, tools=[TOOL]),
                  litellm.BadRequestError, "do not call functions")
    calls.refused("completion, unknown model", lambda: litellm.completion(**{**ask, "model": "openai/none"}),
                  litellm.NotFoundError, "does not exist")
    calls.refused("completion, a wrong key", lambda: litellm.completion(**{**ask, "api_key": "sk-x"}),
                  litellm.AuthenticationError, "Incorrect API key")
    calls.refused("completion, more than the model's positions", lambda: litellm.completion(
        **{**ask, "messages": [{"role": "user", "content": "a b c d " * 400}]}),
        litellm.ContextWindowExceededError, "512")
    file = calls.works("create_file", lambda: litellm.create_file(
        file=("planets.jsonl", DATA), purpose="fine-tune", custom_llm_provider="openai", **given))
    calls.works("create_fine_tuning_job", lambda: litellm.create_fine_tuning_job(
        model="tiny", training_file=file.id, hyperparameters={"n_epochs": 1},
        custom_llm_provider="openai", **given), lambda job: job.id.startswith("ftjob-"))


openai_calls()
langchain_calls()
litellm_calls()
sys.exit(1 if failed else 0)
