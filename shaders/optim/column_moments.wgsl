// Second moments of the columns of blocks of rows, one half of a factored second moment
// (Shazeer & Stern 2018, "Adafactor", algorithm 4; adam_factored.wgsl has the other):
//   columns = β2·columns + (1 − β2)·mean of g² over the rows of the block
// LANES threads share an octet of columns of a block; each has HELD rows under way at once.
// @use column_lanes, lane_squares
// @const HELD
const BLOCK_ROWS = 256u;

struct Params {
  rows: u32,      // of this range
  octets: u32,    // row stride, in octets
  beta2: f32,
  fresh2: f32,    // 1 − β2: computed on the host, before rounding to float32
}

@group(0) @binding(0) var<storage, read> x: array<mat2x4<f32>>;                // (rows, C): the gradient
@group(0) @binding(1) var<storage, read_write> columns: array<mat2x4<f32>>;    // (blocks, C)
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
  let first = group.y * BLOCK_ROWS;
  let end = min(first + BLOCK_ROWS, params.rows);
  // A thread past the last octet has no rows, but must still reach the barriers.
  let last = select(0u, end, octet < octets);

  let own = lane_squares(first + lane, last, octets, octet);
  let squares = columns_sum(own, local);
  if (lane > 0u || octet >= octets) { return; }
  let at = group.y * octets + octet;
  columns[at] = params.beta2 * columns[at] + (params.fresh2 / f32(end - first)) * squares;
}
