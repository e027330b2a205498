// out[c] (+)= Σ_r x[r, c]², in float32 and a fixed order. Twin for rows: row_squares.wgsl.
// @use column_lanes, lane_squares
// @const HELD   rows that a thread loads at once

struct Params {
  rows: u32,         // of this range
  octets: u32,       // row stride, in octets
  accumulate: u32,   // 1 adds to out
}

@group(0) @binding(0) var<storage, read> x: array<mat2x4<f32>>;            // (R, C)
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

  let own = lane_squares(lane, rows, octets, octet);
  var squares = columns_sum(own, local);
  if (lane > 0u || octet >= octets) { return; }
  if (params.accumulate == 1u) { squares += out[octet]; }
  out[octet] = squares;
}
