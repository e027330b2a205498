// out[c] (+)= Σ_n x[n, c]·y[n, c] / norm[c], in float32 and a fixed order; 0 where the norm is 0
// @use bfloat16 | float32
// @use column_lanes
// @const HELD   rows that a thread loads at once

struct Params {
  rows: u32,         // N, of this range
  octets: u32,       // row stride, in octets
  accumulate: u32,   // 1 adds to out
}

@group(0) @binding(0) var<storage, read> x: array<Eight>;                  // (N, C)
@group(0) @binding(1) var<storage, read> y: array<Eight>;                  // (N, C)
@group(0) @binding(2) var<storage, read> norm: array<mat2x4<f32>>;         // (C)
@group(0) @binding(3) var<storage, read_write> out: array<mat2x4<f32>>;    // (C)
@group(1) @binding(0) var<uniform> params: Params;

fn quotient(sum: vec4<f32>, divisor: vec4<f32>) -> vec4<f32> {
  let nothing = divisor == vec4<f32>(0.0);
  return select(sum / select(divisor, vec4<f32>(1.0), nothing), vec4<f32>(0.0), nothing);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  // Once: a processor would load a parameter again in every iteration, since it may alias a store.
  let octets = params.octets;
  let place = column_place(group.x, local);
  let lane = place.lane;
  let octet = place.octet;
  // A thread past the last octet has no rows, but must still reach the barriers.
  let rows = select(0u, params.rows, octet < octets);

  var sum = mat2x4<f32>();
  for (var block = lane; block < rows; block += HELD * LANES) {
    var lefts: array<Eight, HELD>;
    var rights: array<Eight, HELD>;
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      let row = block + k * LANES;
      if (row < rows) {
        lefts[k] = x[row * octets + octet];
        rights[k] = y[row * octets + octet];
      }
    }
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      if (block + k * LANES < rows) {
        sum[0] += unpack_low(lefts[k]) * unpack_low(rights[k]);
        sum[1] += unpack_high(lefts[k]) * unpack_high(rights[k]);
      }
    }
  }

  sum = columns_sum(sum, local);
  if (lane > 0u || octet >= octets) { return; }
  let divisor = norm[octet];
  var dots = mat2x4<f32>(quotient(sum[0], divisor[0]), quotient(sum[1], divisor[1]));
  if (params.accumulate == 1u) { dots += out[octet]; }
  out[octet] = dots;
}
