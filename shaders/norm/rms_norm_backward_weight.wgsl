// forward: y = (weight + offset) · x̂, x̂ = x · rstd                (Zhang & Sennrich 2019, eq. 4)
// For cards.
//   partial (+)= sums of dy · x̂ over groups of rows; sum_rows reduces (G, C) to dweight
// Partial sums, not atomics: WGSL has no float atomics, and a fixed order makes runs bitwise
// reproducible.
// @use bfloat16 | float32
// @use column_lanes
const HELD = 4u;   // rows that a thread loads at once

struct Params {
  rows: u32,          // of this range
  group_rows: u32,    // rows per group
  octets: u32,        // row stride, in octets
  add_partial: u32,   // 1 adds to partial: all ranges after the first
}

@group(0) @binding(0) var<storage, read> dy: array<Eight>;      // (N, C)
@group(0) @binding(1) var<storage, read> x: array<Eight>;       // (N, C)
@group(0) @binding(2) var<storage, read> rstd: array<f32>;      // (N)
@group(0) @binding(3) var<storage, read_write> partial_sums: array<mat2x4<f32>>;   // (G, C)
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
  let first = group.y * params.group_rows;
  // A thread past the last octet has no rows, but must still reach the barriers.
  let last = select(0u, min(first + params.group_rows, params.rows), octet < octets);

  var sum = mat2x4<f32>();
  for (var block = first + lane; block < last; block += HELD * LANES) {
    var gradients: array<Eight, HELD>;
    var values: array<Eight, HELD>;
    var scales: array<f32, HELD>;
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      let row = block + k * LANES;
      scales[k] = 0.0;
      if (row < last) {
        gradients[k] = dy[row * octets + octet];
        values[k] = x[row * octets + octet];
        scales[k] = rstd[row];
      }
    }
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      if (block + k * LANES < last) {
        sum[0] += unpack_low(gradients[k]) * unpack_low(values[k]) * scales[k];
        sum[1] += unpack_high(gradients[k]) * unpack_high(values[k]) * scales[k];
      }
    }
  }

  sum = columns_sum(sum, local);
  if (lane > 0u || octet >= octets) { return; }
  let at = group.y * params.octets + octet;
  if (params.add_partial == 1u) { sum += partial_sums[at]; }
  partial_sums[at] = sum;
}
