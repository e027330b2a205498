// forward: h = act(gate) · up             (Shazeer 2020: SwiGLU with silu, GEGLU with gelu)
//   gate ← dgate = dh · up · act′(gate)
//   up   ← dup   = dh · act(gate)
//   dh   ← h     recomputed here, so that the gradient of down_proj needs no stored copy
// All three (N, F) are overwritten in place: one pass, no extra memory.
// @use bfloat16 | float32
// @use gate_silu | gate_gelu | gate_gelu_tanh
override WORKGROUP_SIZE: u32;

struct Params {
  octets: u32,   // octets stored in this range
}

@group(0) @binding(0) var<storage, read_write> gate: array<Eight>;   // (N, F)
@group(0) @binding(1) var<storage, read_write> up: array<Eight>;     // (N, F)
@group(0) @binding(2) var<storage, read_write> dh: array<Eight>;     // (N, F)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  if (i >= params.octets) { return; }
  let z = gate[i];
  let u = up[i];
  let d = dh[i];
  let low = activated(unpack_low(z));
  let high = activated(unpack_high(z));
  let u_low = unpack_low(u);
  let u_high = unpack_high(u);
  let d_low = unpack_low(d);
  let d_high = unpack_high(d);
  gate[i] = pack_eight(d_low * u_low * low.slope, d_high * u_high * high.slope);
  up[i] = pack_eight(d_low * low.value, d_high * high.value);
  dh[i] = pack_eight(low.value * u_low, high.value * u_high);
}
