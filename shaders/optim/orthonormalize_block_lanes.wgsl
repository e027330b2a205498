// orthonormalize_block.wgsl for cards: LANES threads own a row, and keep the first HELD quads of each
// lane in registers. At step i row i is complete: its owners have written it, and the owners of
// each later row j subtract from it, all at the same time,
//   b_j ← b_j − (b_j · b_i) / |b_i|² b_i
// so that a step costs one barrier and no more than the time to load a row. Rows are divided by
// their lengths at the end. A row whose remaining squared length is at most `least` becomes zero.
// @use lanes
// @const HELD   quads

struct Params {
  rows: u32,        // at most WORKGROUP_SIZE / LANES
  row_quads: u32,
  least: f32,
}

@group(0) @binding(0) var<storage, read_write> block: array<vec4<f32>>;   // (rows, columns)
@group(1) @binding(0) var<uniform> params: Params;

// Zero for a row that is as good as zero.
fn inverse_square(square: f32) -> f32 {
  let independent = square > params.least;
  return select(0.0, 1.0 / select(1.0, square, independent), independent);
}

fn block_of(first: u32, start: u32, end: u32) -> array<vec4<f32>, HELD> {
  var values: array<vec4<f32>, HELD>;
  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let quad = first + k * LANES;
    if (quad < end) { values[k] = block[start + quad]; }
  }
  return values;
}

fn with_products(
  sums: vec2<f32>,
  other: array<vec4<f32>, HELD>,
  own: array<vec4<f32>, HELD>,
) -> vec2<f32> {
  var both = sums;
  // @unroll
  for (var k = 0u; k < HELD; k++) {
    both += vec2<f32>(dot(other[k], other[k]), dot(other[k], own[k]));
  }
  return both;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_index) local: u32) {
  let row = local / LANES;
  let lane = local % LANES;
  let start = row * params.row_quads;
  // Threads without a row own no elements, but must still reach the barriers.
  let quads = select(0u, params.row_quads, row < params.rows);

  var own = block_of(lane, start, quads);
  for (var i = 0u; i + 1u < params.rows; i++) {
    let complete = i * params.row_quads;
    let later = select(0u, quads, row > i);
    let other = block_of(lane, complete, later);
    var sums = with_products(vec2<f32>(0.0), other, own);
    for (var quad = HELD * LANES + lane; quad < later; quad += HELD * LANES) {
      sums = with_products(sums, block_of(quad, complete, later), block_of(quad, start, later));
    }
    sums = lanes_sum(sums, local);
    let factor = sums.y * inverse_square(sums.x);
    // @unroll
    for (var k = 0u; k < HELD; k++) { own[k] -= factor * other[k]; }
    for (var quad = HELD * LANES + lane; quad < later; quad += HELD * LANES) {
      let a = block_of(quad, complete, later);
      let b = block_of(quad, start, later);
      // @unroll
      for (var k = 0u; k < HELD; k++) {
        let at = quad + k * LANES;
        if (at < later) { block[start + at] = b[k] - factor * a[k]; }
      }
    }
    if (row == i + 1u) {
      // @unroll
      for (var k = 0u; k < HELD; k++) {
        let quad = k * LANES + lane;
        if (quad < quads) { block[start + quad] = own[k]; }
      }
    }
    storageBarrier();
    workgroupBarrier();
  }

  var square = with_products(vec2<f32>(0.0), own, own).x;
  for (var quad = HELD * LANES + lane; quad < quads; quad += LANES) {
    let b = block[start + quad];
    square += dot(b, b);
  }
  let scale = sqrt(inverse_square(lanes_sum(vec2<f32>(square), local).x));
  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let quad = k * LANES + lane;
    if (quad < quads) { block[start + quad] = scale * own[k]; }
  }
  for (var quad = HELD * LANES + lane; quad < quads; quad += LANES) {
    block[start + quad] *= scale;
  }
}
