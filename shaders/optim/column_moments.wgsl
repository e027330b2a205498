// Second moments of the columns of blocks of rows, one half of a factored second moment
// (Shazeer & Stern 2018, "Adafactor", algorithm 4; adam_factored.wgsl has the other):
//   columns = β2·columns + (1 − β2)·mean of g² over the rows of the block
// LANES threads share an octet of columns of a block; each has HELD rows under way at once.
// @use column_lanes
// @const HELD
const BLOCK_ROWS = 256u;

struct Params {
  rows: u32,      // of this range
  octets: u32,    // row stride, in octets
  beta2: f32,
  fresh2: f32,    // 1 − β2: computed on the host, before rounding to float32
}

@group(0) @binding(0) var<storage, read> gradient: array<mat2x4<f32>>;         // (rows, C)
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

  var squares = mat2x4<f32>();
  for (var row = first + lane; row < last; row += HELD * LANES) {
    var held: array<mat2x4<f32>, HELD>;
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      let at = row + k * LANES;
      if (at < last) { held[k] = gradient[at * octets + octet]; } else { held[k] = mat2x4<f32>(); }
    }
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      squares[0] += held[k][0] * held[k][0];
      squares[1] += held[k][1] * held[k][1];
    }
  }

  squares = columns_sum(squares, local);
  if (lane > 0u || octet >= octets) { return; }
  let at = group.y * octets + octet;
  columns[at] = params.beta2 * columns[at] + (params.fresh2 / f32(end - first)) * squares;
}
