// Some rows of the head's logits become their gradient, by the logsumexp of the whole vocabulary:
//   dlogits[n, v] = gradScale · w[n] · (exp(logits[n, v] − logsumexp[n]) − [v = label[n]])
// as in cross_entropy.wgsl, in the same operations, so that a block of rows has the bits of the whole.
// A row of logits whose label is negative is ignored: its gradient is zero.
// @use fours
override TILE: u32;
override WEIGHTED: bool;

struct Params {
  rows: u32,        // of this range
  columns: u32,     // logits of a row, R
  quads: u32,       // row stride, in quads
  row: u32,         // first row of this range
  first: u32,       // of the vocabulary: that of the first logit
  grad_scale: f32,
}

@group(0) @binding(0) var<storage, read_write> logits: array<vec4<f32>>;   // (n, R)
@group(0) @binding(1) var<storage, read> labels: array<i32>;               // (n)
@group(0) @binding(2) var<storage, read> logsumexps: array<f32>;           // (n)
@group(0) @binding(3) var<storage, read> weights: array<f32>;              // (n), if WEIGHTED
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.quads || id.y >= params.rows) { return; }
  let n = params.row + id.y;
  let at = id.y * params.quads + id.x;
  let label = labels[n];
  var weight = 1.0;
  if (WEIGHTED) { weight = weights[n]; }
  let column = four_from(4u * id.x);
  // Padding counts no more than an ignored row, whose logsumexp is arbitrary.
  let counted = (column < vec4<u32>(params.columns)) & vec4<bool>(label >= 0);
  let z = select(vec4<f32>(LOWEST), logits[at], counted);
  var d = exp(z - select(0.0, logsumexps[n], label >= 0));
  // A label before the first wraps around to a large number, which no column has.
  let own = counted & (column == vec4<u32>(u32(label) - params.first));
  d -= select(vec4<f32>(0.0), vec4<f32>(1.0), own);
  logits[at] = params.grad_scale * weight * d;
}
