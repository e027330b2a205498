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

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_index) local: u32) {
  let row = local / LANES;
  let lane = local % LANES;
  let start = row * params.row_quads;
  // Threads without a row own no elements, but must still reach the barriers.
  let quads = select(0u, params.row_quads, row < params.rows);

  var own: array<vec4<f32>, HELD>;
  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let quad = k * LANES + lane;
    if (quad < quads) { own[k] = block[start + quad]; }
  }

  for (var i = 0u; i + 1u < params.rows; i++) {
    let complete = i * params.row_quads;
    let later = select(0u, quads, row > i);
    var other: array<vec4<f32>, HELD>;
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      let quad = k * LANES + lane;
      // Explicitly: naga leaves a variable of a loop as it was in the last iteration.
      other[k] = vec4<f32>(0.0);
      if (quad < later) { other[k] = block[complete + quad]; }
    }
    var sums = vec2<f32>(0.0);
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      sums += vec2<f32>(dot(other[k], other[k]), dot(other[k], own[k]));
    }
    for (var quad = HELD * LANES + lane; quad < later; quad += LANES) {
      let b = block[complete + quad];
      sums += vec2<f32>(dot(b, b), dot(b, block[start + quad]));
    }
    sums = lanes_sum(sums, local);
    let factor = sums.y * inverse_square(sums.x);
    // @unroll
    for (var k = 0u; k < HELD; k++) { own[k] -= factor * other[k]; }
    for (var quad = HELD * LANES + lane; quad < later; quad += LANES) {
      block[start + quad] -= factor * block[complete + quad];
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

  var square = 0.0;
  // @unroll
  for (var k = 0u; k < HELD; k++) { square += dot(own[k], own[k]); }
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
