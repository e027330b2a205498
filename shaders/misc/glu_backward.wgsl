// forward: h = act(gate) · up             (Shazeer 2020: SwiGLU with silu, GEGLU with gelu)
//   gate ← dgate = dh · up · act′(gate)
//   up   ← dup   = dh · act(gate)
//   dh   ← h     recomputed here, so that the gradient of down_proj needs no stored copy
// All three (N, F) are overwritten in place: one pass, no extra memory.
// @use bfloat16 | float32
// @use gate_silu | gate_gelu | gate_gelu_tanh
override WORKGROUP_SIZE: u32;

struct Params {
  quads: u32,   // quads stored in this range
}

@group(0) @binding(0) var<storage, read_write> gate: array<Quad>;   // (N, F)
@group(0) @binding(1) var<storage, read_write> up: array<Quad>;     // (N, F)
@group(0) @binding(2) var<storage, read_write> dh: array<Quad>;     // (N, F)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  if (i >= params.quads) { return; }
  let act = activated(unpack(gate[i]));
  let u = unpack(up[i]);
  let d = unpack(dh[i]);
  gate[i] = pack(d * u * act.slope);
  up[i] = pack(d * act.value);
  dh[i] = pack(act.value * u);
}
