// out[r] = Σ_c x[r, c]², in float32 and a fixed order. Twin for columns: column_squares.wgsl.
// LANES threads share a row; the padding of a row is zero and adds nothing.
// @use lanes
// @const HELD   quads that a thread loads at once

struct Params {
  rows: u32,        // of this range
  row_quads: u32,   // row stride, in quads
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;          // (R, C)
@group(0) @binding(1) var<storage, read_write> out: array<f32>;        // (R)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  // Once: a processor would load a parameter again in every iteration, since it may alias a store.
  let p = params;
  let row = id.x / LANES;
  let start = row * p.row_quads;
  // A thread past the last row has no elements, but must still reach the barriers.
  let end = select(0u, start + p.row_quads, row < p.rows);

  var squares = vec4<f32>();
  for (var quad = start + id.x % LANES; quad < end; quad += HELD * LANES) {
    var held: array<vec4<f32>, HELD>;
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      let at = quad + k * LANES;
      if (at < end) { held[k] = x[at]; } else { held[k] = vec4<f32>(); }
    }
    // @unroll
    for (var k = 0u; k < HELD; k++) { squares += held[k] * held[k]; }
  }
  let sum = lanes_sum(vec2<f32>(squares.x + squares.y + squares.z + squares.w), local).x;
  if (id.x % LANES == 0u && row < p.rows) { out[row] = sum; }
}
