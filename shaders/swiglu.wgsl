// h = silu(gate) · up,  silu(z) = z · σ(z)                              (Shazeer 2020, "SwiGLU")
//   gate, up (N, F) are what the backward pass needs; h (N, F) is overwritten.
override WORKGROUP_SIZE: u32;

struct Params {
  quads: u32,   // stored elements of this range, in fours
}

@group(0) @binding(0) var<storage, read> gate: array<Quad>;        // (N, F)
@group(0) @binding(1) var<storage, read> up: array<Quad>;          // (N, F)
@group(0) @binding(2) var<storage, read_write> h: array<Quad>;     // (N, F)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  if (i >= params.quads) { return; }
  let g = unpack(gate[i]);
  // Below −80 σ is some 1e-35 and beyond −88 exp would overflow: no digit is lost by the bound.
  let sigmoid = 1.0 / (1.0 + exp(min(-g, vec4<f32>(80.0))));
  h[i] = pack(g * sigmoid * unpack(up[i]));
}
