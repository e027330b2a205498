// h = act(gate) · up                      (Shazeer 2020: SwiGLU with silu, GEGLU with gelu)
//   gate, up (N, F) are what the backward pass needs; h (N, F) is overwritten.
// @use bfloat16 | float32
// @use gate_silu | gate_gelu | gate_gelu_tanh
override WORKGROUP_SIZE: u32;

struct Params {
  quads: u32,   // quads stored in this range
}

@group(0) @binding(0) var<storage, read> gate: array<Quad>;        // (N, F)
@group(0) @binding(1) var<storage, read> up: array<Quad>;          // (N, F)
@group(0) @binding(2) var<storage, read_write> h: array<Quad>;     // (N, F)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  if (i >= params.quads) { return; }
  h[i] = pack(activated(unpack(gate[i])).value * unpack(up[i]));
}
