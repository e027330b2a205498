// y[n] += bias, for every row
//   y (N, M) in place. The padding of y and of the bias is zero, and so stays zero.
// @use bfloat16 | float32
override WORKGROUP_SIZE: u32;

struct Params {
  count: u32,   // quads stored in this range of rows
  quads: u32,   // row stride, in quads
}

@group(0) @binding(0) var<storage, read_write> y: array<Quad>;        // (N, M)
@group(0) @binding(1) var<storage, read> bias: array<vec4<f32>>;      // (M)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  if (i >= params.count) { return; }
  y[i] = pack(unpack(y[i]) + bias[i % params.quads]);
}
