// Fills empty rows with normal random numbers (lib/rng_normal.wgsl): those from `first` on, and
// earlier ones that are all zero. A subspace iteration can start from arbitrary directions. LANES
// threads per row; its padding stays zero.
// @use rng_normal, lanes, fours

struct Params {
  rows: u32,        // of this range
  first: u32,       // in this range
  first_quad: u32,  // of this range, in the whole matrix
  row_quads: u32,
  columns: u32,
  seed: u32,        // salted: see src/kernels/salts.ts
  step: u32,
  tensor: u32,
}

@group(0) @binding(0) var<storage, read_write> target_values: array<vec4<f32>>;   // (rows, columns)
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
  if (row < params.first) {
    for (var quad = start + lane; quad < end; quad += LANES) {
      largest = max(largest, abs(target_values[quad]));
    }
  }
  let most = largest_of(largest);
  if (lanes_max(vec2<f32>(most, 0.0), local).x > 0.0) { return; }

  for (var quad = start + lane; quad < end; quad += LANES) {
    let place = params.first_quad + quad;
    let values = random_normal(params.seed, params.step, params.tensor, place);
    let column = four_from(4u * (quad - start));
    target_values[quad] = select(vec4<f32>(0.0), values, column < vec4<u32>(params.columns));
  }
}
