// out[c] (+)= Σ_r x[r, c]², in float32 and a fixed order. Twin for rows: row_squares.wgsl.
// @use column_lanes
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

  var squares = mat2x4<f32>();
  for (var row = lane; row < rows; row += HELD * LANES) {
    var held: array<mat2x4<f32>, HELD>;
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      let at = row + k * LANES;
      if (at < rows) { held[k] = x[at * octets + octet]; } else { held[k] = mat2x4<f32>(); }
    }
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      squares[0] += held[k][0] * held[k][0];
      squares[1] += held[k][1] * held[k][1];
    }
  }

  squares = columns_sum(squares, local);
  if (lane > 0u || octet >= octets) { return; }
  if (params.accumulate == 1u) { squares += out[octet]; }
  out[octet] = squares;
}
