// h = act(gate) · up                      (Shazeer 2020: SwiGLU with silu, GEGLU with gelu)
//   gate, up (N, F) are what the backward pass needs; h (N, F) is overwritten.
// @use bfloat16 | float32
// @use gate_silu | gate_gelu | gate_gelu_tanh
override WORKGROUP_SIZE: u32;

struct Params {
  octets: u32,   // octets stored in this range
}

@group(0) @binding(0) var<storage, read> gate: array<Eight>;        // (N, F)
@group(0) @binding(1) var<storage, read> up: array<Eight>;          // (N, F)
@group(0) @binding(2) var<storage, read_write> h: array<Eight>;     // (N, F)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  if (i >= params.octets) { return; }
  let z = gate[i];
  let u = up[i];
  h[i] = pack_eight(
    activated(unpack_low(z)).value * unpack_low(u),
    activated(unpack_high(z)).value * unpack_high(u),
  );
}
