// y = (weight + offset) · x · rstd,  rstd = 1 / sqrt(mean_c(x²) + eps)
//                                                                 (Zhang & Sennrich 2019, eq. 4)
//   saves rstd (N) for the backward pass; y (N, C) is overwritten. Gemma stores weight − 1.
// LANES threads hold a row in registers (lanes_held.wgsl), or read it twice. On a processor they take
// ROWS rows, one after the other, and hold the weight as well.
// @use bfloat16 | float32
// @use lanes_held
// @const ROWS

struct Params {
  rows: u32,      // of this range
  columns: u32,
  octets: u32,    // row stride, in octets
  eps: f32,
  offset: f32,
}

@group(0) @binding(0) var<storage, read> x: array<Eight>;               // (N, C)
@group(0) @binding(1) var<storage, read> weight: array<mat2x4<f32>>;    // (C)
@group(0) @binding(2) var<storage, read_write> y: array<Eight>;         // (N, C)
@group(0) @binding(3) var<storage, read_write> rstd: array<f32>;        // (N)
@group(1) @binding(0) var<uniform> params: Params;

fn with_squares(sum: vec4<f32>, eight: Eight) -> vec4<f32> {
  let low = unpack_low(eight);
  let high = unpack_high(eight);
  return sum + low * low + high * high;
}

fn gain(octet: u32, offset: f32) -> mat2x4<f32> {
  let w = weight[octet];
  return mat2x4<f32>(w[0] + offset, w[1] + offset);
}

fn normed(eight: Eight, scale: f32, w: mat2x4<f32>) -> Eight {
  return pack_eight(unpack_low(eight) * scale * w[0], unpack_high(eight) * scale * w[1]);
}

// A thread past the last row has no elements, but must still reach the barriers.
fn norm_row(p: Params, row: u32, local: u32, gains: ptr<function, array<mat2x4<f32>, max(1u, HELD)>>) {
  let lane = local % LANES;
  let octets = select(0u, p.octets, row < p.rows);
  let start = row * p.octets;
  // The padding of a row is zero and adds nothing to the sum.
  var held: array<Eight, max(1u, HELD)>;
  // @unroll
  for (var k = 0u; k < HELD; k++) {
    if (k * LANES + lane < octets) { held[k] = x[start + k * LANES + lane]; }
  }
  var squares = vec4<f32>(0.0);
  // @unroll
  for (var k = 0u; k < HELD; k++) { squares = with_squares(squares, held[k]); }
  if (!WHOLE) {
    for (var i = HELD * LANES + lane; i < octets; i += LANES) {
      squares = with_squares(squares, x[start + i]);
    }
  }
  let own = squares.x + squares.y + squares.z + squares.w;
  let sum = lanes_sum(vec2<f32>(own), local).x;
  let scale = inverseSqrt(sum / f32(p.columns) + p.eps);
  if (lane == 0u && row < p.rows) { rstd[row] = scale; }

  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let i = k * LANES + lane;
    if (i < octets) {
      var w = (*gains)[k];
      if (ROWS == 1u) { w = gain(i, p.offset); }
      y[start + i] = normed(held[k], scale, w);
    }
  }
  if (!WHOLE) {
    for (var i = HELD * LANES + lane; i < octets; i += LANES) {
      y[start + i] = normed(x[start + i], scale, gain(i, p.offset));
    }
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  // Once: a processor would load a parameter again in every iteration, since it may alias a store.
  let p = params;
  let first = (group.x * (WORKGROUP_SIZE / LANES) + local / LANES) * ROWS;
  var gains: array<mat2x4<f32>, max(1u, HELD)>;
  if (ROWS == 1u) {
    norm_row(p, first, local, &gains);
  } else {
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      let i = k * LANES + local % LANES;
      if (i < p.octets) { gains[k] = gain(i, p.offset); }
    }
    for (var r = 0u; r < ROWS; r++) { norm_row(p, first + r, local, &gains); }
  }
}
