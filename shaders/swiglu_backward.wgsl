// forward: h = silu(gate) · up, silu(z) = z · σ(z)                      (Shazeer 2020, "SwiGLU")
//   gate ← dgate = dh · up · σ(gate) · (1 + gate · (1 − σ(gate)))
//   up   ← dup   = dh · silu(gate)
//   dh   ← h     recomputed here, so that the gradient of down_proj needs no stored copy
// All three (N, F) are overwritten in place: one pass, no memory of its own.
override WORKGROUP_SIZE: u32;

struct Params {
  quads: u32,   // stored elements of this range, in fours
}

@group(0) @binding(0) var<storage, read_write> gate: array<Quad>;   // (N, F)
@group(0) @binding(1) var<storage, read_write> up: array<Quad>;     // (N, F)
@group(0) @binding(2) var<storage, read_write> dh: array<Quad>;     // (N, F)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  if (i >= params.quads) { return; }
  let g = unpack(gate[i]);
  let u = unpack(up[i]);
  let d = unpack(dh[i]);
  let sigmoid = 1.0 / (1.0 + exp(min(-g, vec4<f32>(80.0))));   // see swiglu.wgsl
  let silu = g * sigmoid;
  gate[i] = pack(d * u * sigmoid * (1.0 + g * (1.0 - sigmoid)));
  up[i] = pack(d * silu);
  dh[i] = pack(silu * u);
}
