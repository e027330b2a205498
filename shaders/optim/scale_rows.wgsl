// row /= max |row|; rows of zeros stay zero. Squares of gradients leave the range of float32, and
// subspaces do not depend on the lengths of the vectors that span them. LANES threads per row keep HELD
// octets each in registers; the rest of a longer row is read twice.
// @use lanes_held, fours

struct Params {
  rows: u32,
  row_octets: u32,
}

@group(0) @binding(0) var<storage, read_write> matrix: array<mat2x4<f32>>;   // (rows, columns)
@group(1) @binding(0) var<uniform> params: Params;

fn with_largest(largest: vec4<f32>, values: mat2x4<f32>) -> vec4<f32> {
  return max(largest, max(abs(values[0]), abs(values[1])));
}

fn scaled(values: mat2x4<f32>, most: f32) -> mat2x4<f32> {
  return mat2x4<f32>(values[0] / most, values[1] / most);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = id.x / LANES;
  let lane = id.x % LANES;
  let start = row * params.row_octets;
  // A thread past the last row has no elements, but must still reach the barriers.
  let end = select(0u, start + params.row_octets, row < params.rows);

  var held: array<mat2x4<f32>, max(1u, HELD)>;
  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let octet = start + k * LANES + lane;
    if (octet < end) { held[k] = matrix[octet]; }
  }
  var largest = vec4<f32>(0.0);
  // @unroll
  for (var k = 0u; k < HELD; k++) { largest = with_largest(largest, held[k]); }
  if (!WHOLE) {
    for (var octet = start + HELD * LANES + lane; octet < end; octet += LANES) {
      largest = with_largest(largest, matrix[octet]);
    }
  }
  let most = lanes_max(vec2<f32>(largest_of(largest)), local).x;
  if (most == 0.0) { return; }

  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let octet = start + k * LANES + lane;
    if (octet < end) { matrix[octet] = scaled(held[k], most); }
  }
  if (!WHOLE) {
    for (var octet = start + HELD * LANES + lane; octet < end; octet += LANES) {
      matrix[octet] = scaled(matrix[octet], most);
    }
  }
}
