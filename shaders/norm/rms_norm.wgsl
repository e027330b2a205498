// y = (weight + offset) · x · rstd,  rstd = 1 / sqrt(mean_c(x²) + eps)
//                                                                 (Zhang & Sennrich 2019, eq. 4)
//   saves rstd (N) for the backward pass; y (N, C) is overwritten. Gemma stores weight − 1.
// LANES threads per row, each of which keeps what it loads of a short row in registers; the rest of
// a longer one is read twice, the second time from a cache.
// @use bfloat16 | float32
// @use lanes
// @const HELD

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

fn normed(eight: Eight, scale: f32, octet: u32, offset: f32) -> Eight {
  let w = weight[octet];
  return pack_eight(
    unpack_low(eight) * scale * (w[0] + offset),
    unpack_high(eight) * scale * (w[1] + offset),
  );
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  // Once: a processor would load a parameter again in every iteration, since it may alias a store.
  let offset = params.offset;
  let lane = local % LANES;
  let row = group.x * (WORKGROUP_SIZE / LANES) + local / LANES;
  let start = row * params.octets;
  // A thread past the last row has no elements, but must still reach the barriers.
  let octets = select(0u, params.octets, row < params.rows);

  // The padding of a row is zero and adds nothing to the sum.
  var held: array<Eight, max(1u, HELD)>;
  // @unroll
  for (var k = 0u; k < HELD; k++) {
    if (k * LANES + lane < octets) { held[k] = x[start + k * LANES + lane]; }
  }
  var squares = vec4<f32>(0.0);
  // @unroll
  for (var k = 0u; k < HELD; k++) { squares = with_squares(squares, held[k]); }
  for (var i = HELD * LANES + lane; i < octets; i += LANES) {
    squares = with_squares(squares, x[start + i]);
  }
  let own = squares.x + squares.y + squares.z + squares.w;
  let sum = lanes_sum(vec2<f32>(own), local).x;
  let scale = inverseSqrt(sum / f32(params.columns) + params.eps);
  if (lane == 0u && row < params.rows) { rstd[row] = scale; }

  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let i = k * LANES + lane;
    if (i < octets) { y[start + i] = normed(held[k], scale, i, offset); }
  }
  for (var i = HELD * LANES + lane; i < octets; i += LANES) {
    y[start + i] = normed(x[start + i], scale, i, offset);
  }
}
