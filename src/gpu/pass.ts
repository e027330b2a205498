/**
 * Records dispatches and submits them in large batches.
 *
 * Ordering contract: dispatches run in the order recorded, each after the writes of the earlier
 * ones. {@link KernelPass.submit} does not wait, and nothing runs before it; {@link Gpu.read} sees
 * the results of every pass submitted before it.
 */
import type { BoundResource } from "./bind_groups.ts";
import { type Command, Encoding } from "./encoding.ts";
import { GpuError } from "./errors.ts";
import { type Kernel, packParameters } from "./kernel.ts";
import type { Gpu } from "./gpu.ts";
import type { WatchedPart } from "./watch.ts";
import { keyOf } from "./pipelines.ts";
import type { Tensor } from "./tensor.ts";
import type { TextureTensor } from "./allocator.ts";
import type { Profiler } from "./profiler.ts";
import { BUFFER_USAGE } from "./usage.ts";

/** A tensor or staging texture that a dispatch binds. */
export type Operand = Tensor | TextureTensor;

/** A kernel to run, and what on. */
export interface Dispatch {
  /** The kernel; see {@link defineKernel}. */
  readonly kernel: Kernel;
  /** Geometry and flags (0 or 1) that the kernel leaves open. Each combination is a pipeline. */
  readonly constants?: Readonly<Record<string, number>>;
  /** By the name of the WGSL binding; undefined for one that this variant of the kernel lacks. */
  readonly operands: Readonly<Record<string, Operand | undefined>>;
  /** Fields of `struct Params`. */
  readonly params?: Readonly<Record<string, number>>;
  /** Workgroups in x, y and z; 1 where omitted. */
  readonly workgroups: readonly [number, number?, number?];
}

const TEXEL_BYTES = 16;
/** Parameters of one dispatch: WebGPU's largest offset alignment, with room for 64 fields. */
const SLOT_BYTES = 256;
/** Dispatches per submit; beyond it the pass submits automatically. */
const SLOTS = 1024;

/** Of each slot: a call that is given a list of one converts it, which takes as long as itself. */
const OFFSETS = Uint32Array.from({ length: SLOTS }, (_, slot) => SLOT_BYTES * slot);

/** Per-device rather than per-pass state: the parameter buffer. */
class Recording {
  readonly parameters: GPUBuffer;
  readonly parameterGroup: GPUBindGroup;

  constructor(gpu: Gpu) {
    this.parameters = gpu.rawBuffer(
      "parameters",
      SLOT_BYTES * SLOTS,
      BUFFER_USAGE.UNIFORM | BUFFER_USAGE.COPY_DST,
    );
    this.parameterGroup = gpu.device.createBindGroup({
      label: "parameters",
      layout: gpu.pipelines.parameterLayout,
      entries: [{ binding: 0, resource: { buffer: this.parameters, size: SLOT_BYTES } }],
    });
  }
}

const recordings = new WeakMap<Gpu, Recording>();

/** The first dispatch for each pipeline that is not compiled yet. */
class Rehearsal {
  readonly #found = new Map<Kernel, Map<string, Dispatch>>();

  constructor(readonly gpu: Gpu) {}

  add(dispatch: Dispatch): void {
    const { kernel, constants = {} } = dispatch, key = keyOf(kernel, constants);
    if (this.gpu.pipelines.has(kernel, constants)) return;
    const found = this.#found.get(kernel);
    if (!found) this.#found.set(kernel, new Map([[key, dispatch]]));
    else if (!found.has(key)) found.set(key, dispatch);
  }

  get dispatches(): Dispatch[] {
    return [...this.#found.values()].flatMap((found) => [...found.values()]);
  }
}

const rehearsals = new WeakMap<Gpu, Rehearsal>();

/**
 * What {@link KernelPass.compile} has to compile for the work that `record` submits and writes, none
 * of which is done: a dispatch for each pipeline, as first recorded.
 */
export function rehearse(gpu: Gpu, record: () => void): Dispatch[] {
  const rehearsal = new Rehearsal(gpu);
  rehearsals.set(gpu, rehearsal);
  try {
    gpu.hold(record);
  } finally {
    rehearsals.delete(gpu);
  }
  return rehearsal.dispatches;
}

/**
 * Records dispatches and submits them together. They run in the order of recording, each after the
 * writes of those before it, once {@link submit} is called, which does not wait.
 */
export class KernelPass {
  readonly #recording: Recording;
  readonly #slots = new DataView(new ArrayBuffer(SLOT_BYTES * SLOTS));
  /** What is recorded: encoded, or to be. */
  #encoding: Encoding | null = null;
  #kept: Command[] = [];
  /** The held recording, if any, in which that began. */
  #recordedIn: object | undefined;
  #used = 0;
  #overwrites = false;

  /** With a profiler, each dispatch gets its own compute pass between two timestamps. */
  constructor(readonly gpu: Gpu, readonly profiler?: Profiler) {
    let recording = recordings.get(gpu);
    if (!recording) recordings.set(gpu, recording = new Recording(gpu));
    this.#recording = recording;
  }

  /**
   * Records a dispatch. Throws a {@link GpuError} on a missing operand, an unknown parameter or
   * constant, or a size beyond the adapter's limits.
   */
  dispatch(dispatch: Dispatch): void {
    const { kernel, workgroups } = dispatch;
    const limit = this.gpu.limits.maxComputeWorkgroupsPerDimension;
    const [x, y = 1, z = 1] = workgroups;
    if (![x, y, z].every((count) => Number.isInteger(count) && count >= 1 && count <= limit)) {
      throw new GpuError(
        `kernel ${kernel.name}: workgroups must be 1 to ${limit} a dimension, got ${x}, ${y}, ${z}`,
      );
    }
    const rehearsal = rehearsals.get(this.gpu);
    if (rehearsal) rehearsal.add(dispatch);
    else this.#record(dispatch, [x, y, z]);
  }

  /**
   * Submits a dispatch of no workgroups: it compiles the kernel, also where the driver puts that off
   * until a kernel is used, and does nothing else.
   */
  compile(dispatch: Dispatch): void {
    this.#record(dispatch, [0, 0, 0]);
    this.submit();
  }

  #record(
    { kernel, constants = {}, operands, params = {} }: Dispatch,
    workgroups: readonly [x: number, y: number, z: number],
  ): void {
    if (this.#used >= Math.min(SLOTS, this.gpu.piece ?? SLOTS)) this.submit();
    const pipeline = this.gpu.pipelines.get(kernel, constants);
    const group = this.#bind(kernel, pipeline.operands, operands);
    const slot = this.#used++;
    if (kernel.parameters.length) {
      packParameters(kernel, params, this.#slots, SLOT_BYTES * slot);
    }

    const { parameterGroup } = this.#recording, timestamps = this.profiler?.span(kernel.name);
    this.#add((to) => {
      const pass = timestamps ? to.timed(kernel.name, timestamps) : to.compute(kernel.name);
      pass.setPipeline(pipeline.pipeline);
      pass.setBindGroup(0, group);
      if (kernel.parameters.length) pass.setBindGroup(1, parameterGroup, OFFSETS, slot, 1);
      pass.dispatchWorkgroups(...workgroups);
      if (timestamps) to.outside();
    });
  }

  /**
   * Encodes a command, or keeps it to be encoded when it is given: what is encoded takes the host's
   * memory in wgpu until it is submitted.
   */
  #add(command: Command): void {
    const isNew = !this.#encoding && !this.#kept.length;
    if (isNew) this.#recordedIn = this.gpu.recording;
    const keeps = isNew ? this.gpu.keepsCommands : !this.#encoding;
    if (keeps) this.#kept.push(command);
    else command(this.#encoding ??= new Encoding(this.gpu.device));
  }

  /** Copies all of `source`, padding included, over the start of `target`. */
  copy(source: Tensor, target: Tensor): void {
    if (source.byteLength > target.byteLength) {
      throw new GpuError(
        `copy: ${source.name} of ${source.byteLength} bytes overruns ${target.name} of ${target.byteLength}`,
      );
    }
    const { buffer, byteOffset, byteLength } = source;
    this.#add((to) =>
      to.outside()
        .copyBufferToBuffer(buffer!, byteOffset, target.buffer!, target.byteOffset, byteLength)
    );
  }

  /**
   * Copies all of `source`, padding included, to the first `columns` columns of a texture, row after
   * row, from texel `first` of these on. Columns must be a multiple of 16.
   */
  copyToTexture(source: Tensor, target: TextureTensor, columns: number, first = 0): void {
    const end = first + source.byteLength / TEXEL_BYTES, room = columns * target.height;
    if (columns > target.width || end > room) {
      throw new GpuError(
        `copy: ${source.name} of ${source.byteLength} bytes overruns ${target.name}, ` +
          `which has room for ${room - first} texels from ${first} on`,
      );
    }
    // The rest of a row that others began, whole rows, the beginning of one.
    for (let texel = first; texel < end;) {
      const x = texel % columns, y = Math.floor(texel / columns);
      const width = Math.min(end - texel, columns - x);
      const height = Math.max(1, width === columns ? Math.floor((end - texel) / columns) : 1);
      const offset = source.byteOffset + (texel - first) * TEXEL_BYTES;
      const bytesPerRow = height > 1 ? columns * TEXEL_BYTES : undefined;
      this.#add((to) =>
        to.outside().copyBufferToTexture(
          { buffer: source.buffer!, offset, bytesPerRow },
          { texture: target.texture!, origin: [x, y] },
          [width, height],
        )
      );
      texel += width * height;
    }
  }

  /** Sets every byte of a tensor to zero. */
  clear(tensor: Tensor): void {
    const { buffer, byteOffset, byteLength } = tensor;
    this.#add((to) => to.outside().clearBuffer(buffer!, byteOffset, byteLength));
  }

  /**
   * Submits the recorded dispatches without waiting. The pass can then be reused. What was recorded
   * while {@link Gpu.hold} records must be submitted before that ends, and what was recorded before it
   * before it begins: a {@link GpuError} otherwise, since the order would not be that of recording.
   */
  submit(): void {
    const encoding = this.#encoding, kept = this.#kept;
    if (!encoding && !kept.length) return;
    if (this.#recordedIn !== this.gpu.recording) {
      throw new GpuError(
        "submit: the pass has dispatches from before the recording of held work began or ended",
        "submit a pass before and after, and not across, what Gpu.hold records",
      );
    }
    const { device } = this.gpu, { queue } = device, { parameters } = this.#recording;
    const finish = (encoding: Encoding) => {
      this.profiler?.resolve(encoding.outside());
      return encoding.finish();
    };
    const finished = encoding && finish(encoding), bytes = this.#used * SLOT_BYTES;
    // A copy only for what is submitted later.
    const slots = this.gpu.piece ? this.#slots.buffer.slice(0, bytes) : this.#slots.buffer;
    this.gpu.enqueue(() => {
      queue.writeBuffer(parameters, 0, slots, 0, bytes);
      queue.submit([finished ?? finish(encodingOf(device, kept))]);
    }, this.#overwrites);
    this.#encoding = null;
    this.#kept = [];
    this.#used = 0;
  }

  /**
   * Records work of hundreds of dispatches: now or, if work is held, when its turn comes. The first
   * step of a large model refreshes hundreds of subspaces, and all of them would take hundreds of
   * megabytes of the host's memory. What `record` reads must not change meanwhile.
   */
  later(record: () => void): void {
    if (!this.gpu.piece || rehearsals.has(this.gpu)) return record();
    this.submit();
    const whole = () => {
      record();
      this.submit();
    };
    this.gpu.putOff(whole, this.#overwrites);
  }

  /**
   * From here on the recorded work overwrites what a run must keep: weights and their states. See
   * {@link Gpu.hold}.
   */
  overwrites(): void {
    if (this.#overwrites) return;
    if (this.gpu.piece) this.submit();
    this.#overwrites = true;
  }

  /**
   * Marks the end of a layer, or of a refresh, of so many. If someone watches, submits what is
   * recorded, so that it can be seen when the GPU gets there; otherwise does nothing.
   */
  passed(part: WatchedPart, index: number, count: number): void {
    const done = this.gpu.watch?.(part, index, count);
    if (!done) return;
    this.submit();
    // A lost device is reported by whoever reads from it.
    const notify = () =>
      void this.gpu.device.queue.onSubmittedWorkDone().then(() => done(), () => {});
    this.gpu.enqueue(notify, this.#overwrites);
  }

  #bind(
    kernel: Kernel,
    layout: GPUBindGroupLayout,
    operands: Dispatch["operands"],
  ): GPUBindGroup {
    const resources = kernel.bindings.map(({ name, texture }): BoundResource => {
      const operand = operands[name];
      if (!operand) throw new GpuError(`kernel ${kernel.name}: operand ${name} is missing`);
      if ("texture" in operand) {
        if (!texture) {
          throw new GpuError(`kernel ${kernel.name}: operand ${name} must be a tensor`);
        }
        return { object: operand.texture! };
      }
      const { buffer, byteOffset: offset, byteLength: size } = operand;
      if (!buffer) this.gpu.assertHeld(operand, `kernel ${kernel.name}`);
      const limit = this.gpu.limits.maxStorageBufferBindingSize;
      if (size > limit) {
        throw new GpuError(
          `kernel ${kernel.name}: ${operand.name} binds ${size} bytes, this adapter allows ${limit}`,
          "the launcher must bind it in row ranges",
        );
      }
      return { object: buffer!, offset, size };
    });
    return this.gpu.bindGroups.get(layout, resources, () => {
      const unknown = Object.keys(operands).find((name) =>
        operands[name] && !kernel.bindings.some((binding) => binding.name === name)
      );
      if (unknown) throw new GpuError(`kernel ${kernel.name}: unknown operand ${unknown}`);
      const entries = kernel.bindings.map(({ name, binding }): GPUBindGroupEntry => {
        const operand = operands[name]!;
        if ("texture" in operand) return { binding, resource: viewOf(operand.texture!) };
        this.gpu.assertHeld(operand, `kernel ${kernel.name}`);
        const { buffer, byteOffset: offset, byteLength: size } = operand;
        return { binding, resource: { buffer: buffer!, offset, size } };
      });
      return this.gpu.validated(
        `kernel ${kernel.name}`,
        () => this.gpu.device.createBindGroup({ label: kernel.name, layout, entries }),
      );
    });
  }
}

function encodingOf(device: GPUDevice, commands: readonly Command[]): Encoding {
  const encoding = new Encoding(device);
  for (const command of commands) command(encoding);
  return encoding;
}

const views = new WeakMap<GPUTexture, GPUTextureView>();

function viewOf(texture: GPUTexture): GPUTextureView {
  let view = views.get(texture);
  if (!view) views.set(texture, view = texture.createView({ label: texture.label }));
  return view;
}
