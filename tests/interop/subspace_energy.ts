/**
 * Finds the subspaces of real gradients on the device, for subspace_energy.py to judge.
 *
 *     deno run -qP cli.ts dump --gradients --model <dir> --inputs tokens.safetensors --output g.safetensors
 *     deno run -A tests/interop/subspace_energy.ts g.safetensors basis.safetensors 128
 *     python tests/interop/subspace_energy.py g.safetensors basis.safetensors
 *
 * @module
 */
import { Safetensors, writeSafetensors } from "../../src/formats/safetensors.ts";
import { Gpu } from "../../src/gpu/gpu.ts";
import { KernelPass } from "../../src/gpu/pass.ts";
import { packTensor, unpackTensor } from "../../src/numbers/plain.ts";
import { createMatmulWorkspace } from "../../src/kernels/matmul/matmul.ts";
import { createProjector, projectorMatmuls } from "../../src/optim/projector.ts";
import { createSubspaceWorkspace, refreshSubspace } from "../../src/optim/subspace.ts";
import { Scope } from "../../src/gpu/scope.ts";
import { strategyFor } from "../../src/kernels/strategy.ts";

const [input, output, rank] = Deno.args;
const gpu = await Gpu.open();
using gradients = await Safetensors.open(input);
const entries = [];
for (const [name, { shape: [m, n] }] of gradients.tensors) {
  if (!name.endsWith("_proj.weight")) continue;
  const scope = new Scope(gpu);
  const projector = createProjector(scope, {
    name,
    shape: [m, n],
    rank: Math.min(Number(rank), m, n),
    quantised: false,
    groupSize: 256,
  });
  const matmuls = createMatmulWorkspace(scope, {
    variant: strategyFor(gpu.capabilities).matmul,
    limits: gpu.limits,
    shapes: projectorMatmuls(projector),
  });
  const workspace = createSubspaceWorkspace(scope, [[m, n, projector.rank]]);
  const make = (name: string, shape: readonly number[]) =>
    scope.tensor({ name, shape, dtype: "float32", purpose: "workspace" });
  const gradient = make("gradient", [m, n]), out = make("similarity", [1]);
  gpu.write(gradient, packTensor(gradient, await gradients.readFloat32(name)));
  const pass = new KernelPass(gpu);
  const key = { seed: 1, step: 1, tensor: 0 };
  refreshSubspace(pass, matmuls, workspace, projector, {
    gradient,
    ...key,
    similarity: { out, index: 0 },
  });
  pass.submit();
  const basis = unpackTensor(projector.basis, await gpu.read(projector.basis));
  const data = new Uint8Array(basis.buffer);
  entries.push({ name, dtype: "F32" as const, shape: projector.basis.shape, data });
  scope.release();
}
await writeSafetensors(output, entries);
gpu.close();
