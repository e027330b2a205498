// out[c] (+)= Σ_g x[g, c]
// A thread a quad of columns, walking down the rows: neighbours read neighbours, and the order is
// fixed. Meant for few rows, such as the partial sums that another kernel leaves.
override WORKGROUP_SIZE: u32;

struct Params {
  rows: u32,         // G, of this range
  quads: u32,        // a row's stride, in fours
  accumulate: u32,   // 1 adds to out
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;            // (G, C)
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;    // (C)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let quad = id.x;
  if (quad >= params.quads) { return; }
  var sum = vec4<f32>(0.0);
  for (var row = 0u; row < params.rows; row++) { sum += x[row * params.quads + quad]; }
  if (params.accumulate == 1u) { sum += out[quad]; }
  out[quad] = sum;
}
