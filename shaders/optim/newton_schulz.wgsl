// The polynomial of a Newton-Schulz iteration, overwriting the squared Gram matrix: with
// A = X·Xᵀ and S = A·A for the current X, and X̂ = s·X,
//   S ← s·(a·I + b·s²·A + c·s⁴·S),   so that S·X is the next X̂ = (a·I + b·Â + c·Â²)·X̂
// In the first iteration s = 1 / max(‖X‖, ε), and ‖X‖² is the trace of A: normalising X needs no
// separate pass or reduction. In later iterations s = 1.
//   Each workgroup sums the trace itself, in the same order: k numbers, compared with k² outputs.
override WORKGROUP_SIZE: u32;

struct Params {
  size: u32,        // k
  row_quads: u32,   // row stride, in quads
  first_quad: u32,  // of this range of S
  quads: u32,       // in this range
  normalise: u32,   // 1 in the first iteration
  a: f32,
  b: f32,
  c: f32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> gram: array<vec4<f32>>;             // (k, k)
@group(0) @binding(1) var<storage, read_write> square: array<vec4<f32>>;     // of this range
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> sums: array<f32, WORKGROUP_SIZE>;

fn scale(local: u32) -> f32 {
  if (params.normalise == 0u) { return 1.0; }
  var own = 0.0;
  for (var i = local; i < params.size; i += WORKGROUP_SIZE) {
    own += gram[i * params.row_quads + i / 4u][i % 4u];
  }
  sums[local] = own;
  workgroupBarrier();
  var trace = 0.0;
  for (var i = 0u; i < WORKGROUP_SIZE; i++) { trace += sums[i]; }
  return 1.0 / max(sqrt(trace), params.eps);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let s = scale(local);
  if (id.x >= params.quads) { return; }
  let quad = params.first_quad + id.x;
  let row = quad / params.row_quads;
  let columns = vec4<u32>(4u * (quad % params.row_quads)) + vec4<u32>(0u, 1u, 2u, 3u);
  let identity = select(vec4<f32>(0.0), vec4<f32>(params.a), columns == vec4<u32>(row));
  let s2 = s * s;
  let value = identity + params.b * (s2 * gram[quad]) + params.c * (s2 * (s2 * square[id.x]));
  square[id.x] = s * value;
}
