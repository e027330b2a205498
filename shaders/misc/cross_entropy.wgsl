// loss[n] = w[n] · (logsumexp_v(logits[n]) − logits[n, label[n]])
// dlogits = gradScale · w[n] · (softmax(logits) − onehot(label)), over the logits if requested
//   w is 1 unless WEIGHTED, for objectives that weight the targets of a batch.
//   A row whose label is negative (−100, as in PyTorch) is ignored: its loss and gradient are zero.
//   A label that is not below V is a data error: its loss is NaN, which cannot go unnoticed.
// LANES threads share a row. Each keeps a running maximum and the sum of exponentials relative to
// it (Milakov & Gimelshein 2018), so that the row is read once for the loss and once more for the
// gradient; then they reduce both.
// @use fours, lanes
// @const HELD   quads that a thread loads at once
override WEIGHTED: bool;

struct Params {
  rows: u32,        // of this range
  columns: u32,     // V
  quads: u32,       // row stride, in quads
  row: u32,         // first row of this range
  gradients: u32,   // 0 leaves the logits unchanged
  grad_scale: f32,
}

@group(0) @binding(0) var<storage, read_write> logits: array<vec4<f32>>;   // (n, V)
@group(0) @binding(1) var<storage, read> labels: array<i32>;               // (n)
@group(0) @binding(2) var<storage, read_write> losses: array<f32>;         // (n)
@group(0) @binding(3) var<storage, read> weights: array<f32>;              // (n), if WEIGHTED
@group(1) @binding(0) var<uniform> params: Params;

const BLOCK = 64u;

// Padding must not count: it becomes LOWEST, whose exponential is zero.
fn load(start: u32, quad: u32, columns: u32) -> vec4<f32> {
  let v = logits[start + quad];
  if (4u * quad + 4u <= columns) { return v; }
  let column = four_from(4u * quad);
  return select(vec4<f32>(LOWEST), v, column < vec4<u32>(columns));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  // Once: a processor would load a parameter again in every iteration, since it may alias a store.
  let columns = params.columns;
  let stored = params.quads;
  let lane = local % LANES;
  let n = group.x * (WORKGROUP_SIZE / LANES) + local / LANES;
  let inside = n < params.rows;
  let start = n * stored;
  var label = -1;
  if (inside) { label = labels[params.row + n]; }
  let counted = label >= 0;

  // No early return: every thread must reach the barriers.
  var maximum = LOWEST;
  var sum = vec4<f32>(0.0);
  let quads = select(0u, (columns + 3u) / 4u, counted);
  // Sum in blocks: adding tens of thousands of small terms to one large sum, with a rounding bias
  // in each, would cost three digits.
  for (var block = lane; block < quads; block += BLOCK * LANES) {
    var part = vec4<f32>(0.0);
    for (var i = block; i < min(quads, block + BLOCK * LANES); i += HELD * LANES) {
      var held: array<vec4<f32>, HELD>;
      // @unroll
      for (var k = 0u; k < HELD; k++) {
        if (i + k * LANES < quads) { held[k] = load(start, i + k * LANES, columns); }
      }
      // @unroll
      for (var k = 0u; k < HELD; k++) {
        if (i + k * LANES < quads) {
          let highest = largest_of(held[k]);
          if (highest > maximum) {
            let shrink = exp(maximum - highest);
            sum *= shrink;
            part *= shrink;
            maximum = highest;
          }
          part += exp(held[k] - maximum);
        }
      }
    }
    sum += part;
  }
  var total = sum.x + sum.y + sum.z + sum.w;
  // Read by the lane that overwrites it with its gradient: no barrier keeps others from being ahead.
  var at_label = 0.0;
  let label_quad = u32(label) / 4u;
  if (counted && label_quad % LANES == lane) {
    at_label = logits[start + label_quad][u32(label) % 4u];
  }

  let own = maximum;
  maximum = lanes_max(vec2<f32>(own), local).x;
  if (LANES > 1u) {
    let sums = lanes_sum(vec2<f32>(total * exp(own - maximum), at_label), local);
    total = sums.x;
    at_label = sums.y;
  }
  if (!inside) { return; }

  var weight = 1.0;
  if (WEIGHTED) { weight = weights[params.row + n]; }
  let logsumexp = maximum + log(select(1.0, total, counted));   // arbitrary for an ignored row
  if (lane == 0u) {
    var loss = select(0.0, weight * (logsumexp - at_label), counted);
    // Every bit pattern from 7fc00000 to 7fffffff is a NaN.
    if (counted && u32(label) >= params.columns) { loss = bitcast<f32>(max(label, 0x7fc00000)); }
    losses[params.row + n] = loss;
  }
  if (params.gradients == 0u) { return; }
  let scale = params.grad_scale * weight;
  for (var block = lane; block < stored; block += HELD * LANES) {
    var held: array<vec4<f32>, HELD>;
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      let i = block + k * LANES;
      if (i < quads) { held[k] = load(start, i, columns); }
    }
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      let i = block + k * LANES;
      var d = vec4<f32>(0.0);
      if (i < quads) {
        d = exp(held[k] - logsumexp);
        d -= select(vec4<f32>(0.0), vec4<f32>(1.0), four_from(4u * i) == vec4<u32>(u32(label)));
      }
      if (i < stored) { logits[start + i] = scale * d; }
    }
  }
}
