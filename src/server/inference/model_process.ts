/** A process that has one model on the GPU, as the server sees it. */
import { ApiError } from "../api_error.ts";
import { jsonLine, readJsonLines } from "../processes/lines.ts";
import { denoProcess, GPU_ENVIRONMENT } from "../processes/deno_process.ts";
import type { GenerationEvent, GenerationRequest, ModelRecord } from "../services.ts";
import { type FaultKind, isLast, type Question, type Reply } from "./messages.ts";

/** Events that are made ahead of whoever reads them. */
const AHEAD = 16;

export interface Generation {
  readonly events: ReadableStream<GenerationEvent>;
  /** Resolves when the process is ready for another request, or has ended. */
  readonly ended: Promise<void>;
}

export class ModelProcess {
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #replies: AsyncGenerator<Reply>;
  #ready = false;

  /** Starts it; nothing is loaded before {@link load}. */
  constructor(readonly model: ModelRecord) {
    this.#child = spawn(model);
    this.#stdin = this.#child.stdin.getWriter();
    this.#replies = readJsonLines<Reply>(this.#child.stdout);
    this.#child.status.then(() => this.#ready = false);
  }

  /** To be called first, and once. Where it fails, the process ends, and an ApiError says why. */
  async load(gpuMemory: number | undefined): Promise<void> {
    const { path, adapter } = this.model;
    this.#send({ type: "load", path, adapter, gpuMemory });
    const reply = await this.#next();
    if (reply?.type !== "loaded") {
      const fault = await this.#fault(reply);
      await this.end();
      throw fault;
    }
    this.#ready = true;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** It has the model, and can be asked. */
  get ready(): boolean {
    return this.#ready;
  }

  /**
   * One at a time: the one before must have `ended`. A reader who takes nothing for `stallMs` is
   * given an error.
   */
  generate(request: GenerationRequest, signal: AbortSignal, stallMs: number): Generation {
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    let over = false, left = false;
    let reading: Promise<Reply | undefined> = Promise.resolve(undefined);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = () =>
      reading = this.#next().then((reply) => {
        over = reply === undefined || isLast(reply);
        return reply;
      });
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      resolve();
    };
    /** Nobody reads on: the rest of the answer is not made. */
    const leave = async () => {
      if (left) return;
      left = true;
      clearTimeout(timer);
      this.#send({ type: "abort" });
      await reading;
      while (!over) await read();
      finish();
    };
    let fail: (reason: unknown) => void;
    const onAbort = () => {
      fail(signal.reason);
      leave();
    };
    const events = new ReadableStream<GenerationEvent>({
      start: (controller) => {
        fail = (reason) => controller.error(reason);
        signal.addEventListener("abort", onAbort);
        this.#send({ type: "generate", request });
      },
      // Called whenever fewer than so many events wait to be read.
      pull: async (controller) => {
        clearTimeout(timer);
        this.#send({ type: "more" });
        const reply = await read();
        if (over) finish();
        if (left) return;
        if (reply?.type === "text" || reply?.type === "done") {
          controller.enqueue(reply);
          if (reply.type === "done") return controller.close();
          timer = setTimeout(() => {
            fail(stalled(stallMs));
            leave();
          }, stallMs);
        } else {
          controller.error(await this.#fault(reply));
        }
      },
      cancel: leave,
    }, { highWaterMark: AHEAD });
    return { events, ended };
  }

  /** Gives the memory back, at once. */
  async end(): Promise<void> {
    this.#ready = false;
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#stdin.abort().catch(() => {});
    while (!(await this.#replies.next()).done);
    await this.#child.status;
  }

  #send(question: Question): void {
    // A process that does not listen any more is found out by its silence.
    this.#stdin.write(jsonLine(question)).catch(() => {});
  }

  /** Undefined when the process has ended. */
  async #next(): Promise<Reply | undefined> {
    const { value } = await this.#replies.next();
    const reply: Reply | undefined = value;
    // After such a fault it ends.
    if (!reply || (reply.type === "fault" && reply.kind !== "request")) this.#ready = false;
    return reply;
  }

  async #fault(reply: Reply | undefined): Promise<ApiError> {
    if (reply?.type === "fault") {
      // Where things lie is the server's business.
      const message = [this.model.path, this.model.adapter].reduce<string>(
        (text, path) => path ? text.replaceAll(path, this.model.name) : text,
        reply.message,
      );
      return new ApiError(...FAULTS[reply.kind](`model ${this.model.name}: ${message}`));
    }
    const { signal, code } = await this.#child.status;
    return new ApiError(503, {
      message: `model ${this.model.name}: its process ended (${signal ?? `code ${code}`}); ` +
        "the next request starts another",
      type: "server_error",
      code: "model_crashed",
    });
  }
}

const FAULTS: Record<FaultKind, (message: string) => ConstructorParameters<typeof ApiError>> = {
  request: (message) => [400, { message }],
  memory: (message) => [503, { message, type: "server_error", code: "insufficient_memory" }],
  internal: (message) => [500, { message, type: "server_error", code: "model_failed" }],
};

function stalled(ms: number): ApiError {
  return new ApiError(408, {
    message: `the answer was not read for ${ms / 1000} s, and others wait: it ends here`,
    code: "reader_too_slow",
  });
}

const PROGRAM = new URL("./worker.ts", import.meta.url).href;

/** With no permission but to read the model, and what it takes to open the GPU. */
function spawn({ path, adapter }: ModelRecord): Deno.ChildProcess {
  return denoProcess(PROGRAM, {
    read: adapter === undefined ? [path] : [path, adapter],
    env: GPU_ENVIRONMENT,
    // What the machine has left, where it is the GPU.
    sys: ["systemMemoryInfo"],
  }, { stdin: "piped", stderr: "inherit" }).spawn();
}
