// y[n] += bias, for every row
//   y (N, M) in place. The padding of y and of the bias is zero, and so stays zero.
// @use bfloat16 | float32
override TILE: u32;

struct Params {
  rows: u32,     // of this range
  octets: u32,   // row stride, in octets
}

@group(0) @binding(0) var<storage, read_write> y: array<Eight>;          // (N, M)
@group(0) @binding(1) var<storage, read> bias: array<mat2x4<f32>>;      // (M)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.octets || id.y >= params.rows) { return; }
  let i = id.y * params.octets + id.x;
  let values = y[i];
  let b = bias[id.x];
  y[i] = pack_eight(unpack_low(values) + b[0], unpack_high(values) + b[1]);
}
