// y = (weight + offset) · x · rstd,  rstd = 1 / sqrt(mean_c(x²) + eps)
//                                                                 (Zhang & Sennrich 2019, eq. 4)
//   saves rstd (N) for the backward pass; y (N, C) is overwritten. Gemma stores weight − 1.
// LANES threads per row, each of which keeps what it loads of a short row in registers; the rest of
// a longer one is read twice, the second time from a cache. On a processor a thread takes ROWS rows,
// which share the loads of the weight.
// @use bfloat16 | float32
// @use lanes
// @const HELD
// @const ROWS   1 with loads in registers

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

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  // Once: a processor would load a parameter again in every iteration, since it may alias a store.
  let p = params;
  let lane = local % LANES;
  let first = (group.x * (WORKGROUP_SIZE / LANES) + local / LANES) * ROWS;
  // A thread past the last row has no elements, but must still reach the barriers.
  let octets = select(0u, p.octets, first < p.rows);
  // In place of single rows past the last one, that once more, with the same result.
  var start: array<u32, ROWS>;
  // @unroll
  for (var r = 0u; r < ROWS; r++) { start[r] = min(first + r, p.rows - 1u) * p.octets; }

  // The padding of a row is zero and adds nothing to the sum.
  var held: array<Eight, max(1u, HELD)>;
  // @unroll
  for (var k = 0u; k < HELD; k++) {
    if (k * LANES + lane < octets) { held[k] = x[start[0] + k * LANES + lane]; }
  }
  var squares: array<vec4<f32>, ROWS>;
  // @unroll
  for (var k = 0u; k < HELD; k++) { squares[0] = with_squares(squares[0], held[k]); }
  for (var i = HELD * LANES + lane; i < octets; i += LANES) {
    // @unroll
    for (var r = 0u; r < ROWS; r++) { squares[r] = with_squares(squares[r], x[start[r] + i]); }
  }
  var scale: array<f32, ROWS>;
  // @unroll
  for (var r = 0u; r < ROWS; r++) {
    let own = squares[r].x + squares[r].y + squares[r].z + squares[r].w;
    let sum = lanes_sum(vec2<f32>(own), local).x;
    scale[r] = inverseSqrt(sum / f32(p.columns) + p.eps);
    if (lane == 0u && first + r < p.rows) { rstd[first + r] = scale[r]; }
  }

  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let i = k * LANES + lane;
    if (i < octets) { y[start[0] + i] = normed(held[k], scale[0], gain(i, p.offset)); }
  }
  for (var i = HELD * LANES + lane; i < octets; i += LANES) {
    let w = gain(i, p.offset);
    // @unroll
    for (var r = 0u; r < ROWS; r++) {
      y[start[r] + i] = normed(x[start[r] + i], scale[r], w);
    }
  }
}
