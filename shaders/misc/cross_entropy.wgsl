// loss[n] = w[n] · (logsumexp_v(logits[n]) − logits[n, label[n]])
// dlogits = gradScale · w[n] · (softmax(logits) − onehot(label)), over the logits if requested
//   w is 1 unless WEIGHTED, for objectives that weight the targets of a batch.
//   A row whose label is negative (−100, as in PyTorch) is ignored: its loss and gradient are zero.
//   A label that is not below V is a data error: its loss is NaN, which cannot go unnoticed.
// LANES threads share a row. Each keeps a running maximum and the sum of exponentials relative to
// it (Milakov & Gimelshein 2018), so that the row is read once for the loss and once more for the
// gradient; then they reduce both.
// @use fours, lanes
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
@group(0) @binding(3) var<storage, read_write> logsumexps: array<f32>;     // (n)
@group(0) @binding(4) var<storage, read> weights: array<f32>;              // (n), if WEIGHTED
@group(1) @binding(0) var<uniform> params: Params;

const BLOCK = 64u;
const HELD = 4u;   // quads that a thread loads at once

// Sums of exponentials relative to the maximum so far, of a block and of those before it.
struct Running {
  maximum: f32,
  sum: vec4<f32>,
  part: vec4<f32>,
}

fn relative_to(highest: f32, before: Running) -> Running {
  var running = before;
  if (highest > running.maximum) {
    let shrink = exp(running.maximum - highest);
    running.sum *= shrink;
    running.part *= shrink;
    running.maximum = highest;
  }
  return running;
}

fn plus(before: Running, values: vec4<f32>) -> Running {
  var running = relative_to(largest_of(values), before);
  running.part += exp(values - running.maximum);
  return running;
}

// Padding must not count: it becomes LOWEST, whose exponential is zero.
fn load(start: u32, quad: u32, columns: u32) -> vec4<f32> {
  let inside = four_from(4u * quad) < vec4<u32>(columns);
  return select(vec4<f32>(LOWEST), logits[start + quad], inside);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  // Once: a processor would load a parameter again in every iteration, since it may alias a store.
  let p = params;
  let columns = p.columns;
  let stored = p.quads;
  let lane = local % LANES;
  let n = group.x * (WORKGROUP_SIZE / LANES) + local / LANES;
  let inside = n < p.rows;
  let start = n * stored;
  var label = -1;
  if (inside) { label = labels[p.row + n]; }
  let counted = label >= 0;

  // No early return: every thread must reach the barriers.
  var running = Running(LOWEST, vec4<f32>(0.0), vec4<f32>(0.0));
  let quads = select(0u, (columns + 3u) / 4u, counted);
  let full = select(0u, columns / 4u, counted);
  // Sum in blocks: adding tens of thousands of small terms to one large sum, with a rounding bias
  // in each, would cost three digits.
  for (var block = lane; block < quads; block += BLOCK * LANES) {
    let end = min(full, block + BLOCK * LANES);
    var i = block;
    for (; i + (HELD - 1u) * LANES < end; i += HELD * LANES) {
      var held: array<vec4<f32>, HELD>;
      // @unroll
      for (var k = 0u; k < HELD; k++) { held[k] = logits[start + i + k * LANES]; }
      var highest = held[0];
      // @unroll
      for (var k = 1u; k < HELD; k++) { highest = max(highest, held[k]); }
      running = relative_to(largest_of(highest), running);
      // @unroll
      for (var k = 0u; k < HELD; k++) { running.part += exp(held[k] - running.maximum); }
    }
    for (; i < end; i += LANES) { running = plus(running, logits[start + i]); }
    if (i == full && full < min(quads, block + BLOCK * LANES)) {
      running = plus(running, load(start, full, columns));
    }
    running.sum += running.part;
    running.part = vec4<f32>(0.0);
  }
  let sum = running.sum;
  var maximum = running.maximum;
  var total = sum.x + sum.y + sum.z + sum.w;
  // Read by the lane that overwrites it with its gradient: no barrier keeps others from being ahead.
  let label_quad = u32(label) / 4u;
  let has_label = counted && u32(label) < columns && label_quad % LANES == lane;
  var label_values = vec4<f32>(0.0);
  if (has_label) { label_values = load(start, label_quad, columns); }
  let hits = four_from(4u * label_quad) == vec4<u32>(u32(label));
  let at_hit = select(vec4<f32>(0.0), label_values, hits);   // no index: registers have none
  var at_label = at_hit.x + at_hit.y + at_hit.z + at_hit.w;

  let own = maximum;
  maximum = lanes_max(vec2<f32>(own), local).x;
  if (LANES > 1u) {
    let sums = lanes_sum(vec2<f32>(total * exp(own - maximum), at_label), local);
    total = sums.x;
    at_label = sums.y;
  }
  if (!inside) { return; }

  var weight = 1.0;
  if (WEIGHTED) { weight = weights[p.row + n]; }
  let logsumexp = maximum + log(select(1.0, total, counted));   // arbitrary for an ignored row
  if (lane == 0u) {
    var loss = select(0.0, weight * (logsumexp - at_label), counted);
    // Every bit pattern from 7fc00000 to 7fffffff is a NaN.
    if (counted && u32(label) >= columns) { loss = bitcast<f32>(max(label, 0x7fc00000)); }
    losses[p.row + n] = loss;
    logsumexps[p.row + n] = logsumexp;
  }
  if (p.gradients == 0u) { return; }
  let scale = p.grad_scale * weight;
  var i = lane;
  for (; i + (HELD - 1u) * LANES < full; i += HELD * LANES) {
    var held: array<vec4<f32>, HELD>;
    // @unroll
    for (var k = 0u; k < HELD; k++) { held[k] = logits[start + i + k * LANES]; }
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      logits[start + i + k * LANES] = scale * exp(held[k] - logsumexp);
    }
  }
  for (; i < full; i += LANES) {
    logits[start + i] = scale * exp(logits[start + i] - logsumexp);
  }
  for (; i < stored; i += LANES) {
    var d = vec4<f32>(0.0);
    if (i < quads) { d = exp(load(start, i, columns) - logsumexp); }
    logits[start + i] = scale * d;
  }
  if (has_label) {
    let d = exp(label_values - logsumexp) - select(vec4<f32>(0.0), vec4<f32>(1.0), hits);
    logits[start + label_quad] = scale * d;
  }
}
