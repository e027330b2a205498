// out[c] (+)= Σ_g x[g, c], in float32 and a fixed order
// @use bfloat16 | float32
// @use column_lanes
// @const HELD   rows that a thread loads at once

struct Params {
  rows: u32,         // G, of this range
  octets: u32,       // row stride, in octets
  accumulate: u32,   // 1 adds to out
}

@group(0) @binding(0) var<storage, read> x: array<Eight>;                  // (G, C)
@group(0) @binding(1) var<storage, read_write> out: array<mat2x4<f32>>;    // (C)
@group(1) @binding(0) var<uniform> params: Params;

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
    var values: array<Eight, HELD>;
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      let row = block + k * LANES;
      if (row < rows) { values[k] = x[row * octets + octet]; }
    }
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      if (block + k * LANES < rows) {
        sum += mat2x4<f32>(unpack_low(values[k]), unpack_high(values[k]));
      }
    }
  }

  sum = columns_sum(sum, local);
  if (lane > 0u || octet >= octets) { return; }
  if (params.accumulate == 1u) { sum += out[octet]; }
  out[octet] = sum;
}
