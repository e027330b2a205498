// y[n] = factor ∘ y[n] (+ residual[n]), for every row
//   y (N, C) in place. The padding of factor and residual is zero, and so that of y stays it.
// @use bfloat16 | float32
override TILE: u32;
override RESIDUAL: bool;

struct Params {
  rows: u32,     // of this range
  octets: u32,   // row stride, in octets
}

@group(0) @binding(0) var<storage, read_write> y: array<Eight>;           // (N, C)
@group(0) @binding(1) var<storage, read> factor: array<mat2x4<f32>>;      // (C)
@group(0) @binding(2) var<storage, read> residual: array<Eight>;          // (N, C), if RESIDUAL
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.octets || id.y >= params.rows) { return; }
  let i = id.y * params.octets + id.x;
  let values = y[i];
  let f = factor[id.x];
  var low = f[0] * unpack_low(values);
  var high = f[1] * unpack_high(values);
  if (RESIDUAL) {
    let added = residual[i];
    low += unpack_low(added);
    high += unpack_high(added);
  }
  y[i] = pack_eight(low, high);
}
