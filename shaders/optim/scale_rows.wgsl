// row /= max |row|; rows of zeros stay zero. Squares of gradients leave the range of float32, and
// subspaces do not depend on the lengths of the vectors that span them. LANES threads per row.
// @use lanes, fours
struct Params {
  rows: u32,
  row_quads: u32,
}

@group(0) @binding(0) var<storage, read_write> matrix: array<vec4<f32>>;   // (rows, columns)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = id.x / LANES;
  let lane = id.x % LANES;
  let start = row * params.row_quads;
  // A thread past the last row has no elements, but must still reach the barrier.
  let end = select(0u, start + params.row_quads, row < params.rows);

  var largest = vec4<f32>(0.0);
  for (var quad = start + lane; quad < end; quad += LANES) {
    largest = max(largest, abs(matrix[quad]));
  }
  let own = largest_of(largest);
  let most = lanes_max(vec2<f32>(own, 0.0), local).x;
  if (most == 0.0) { return; }
  for (var quad = start + lane; quad < end; quad += LANES) {
    matrix[quad] = matrix[quad] / most;
  }
}
