// forward: y = (weight + offset) · x̂, x̂ = x · rstd                (Zhang & Sennrich 2019, eq. 4)
//   g   = (weight + offset) · dy
//   dx (+)= rstd · (g − x̂ · mean_c(g · x̂))    added if the residual path already wrote dx
// For cards: LANES threads per row, each of which keeps what it loads of a short row in registers. The
// weight's gradient is rms_norm_backward_weight.wgsl's.
// @use bfloat16 | float32
// @use gradient_apart | gradient_in_place
// @use lanes

override ACCUMULATE: bool;   // adds to dx

const HELD = 4u;

struct Params {
  rows: u32,      // of this range
  columns: u32,
  octets: u32,    // row stride, in octets
  offset: f32,
}

@group(0) @binding(1) var<storage, read> x: array<Eight>;               // (N, C)
@group(0) @binding(2) var<storage, read> weight: array<mat2x4<f32>>;    // (C)
@group(0) @binding(3) var<storage, read> rstd: array<f32>;              // (N)
@group(1) @binding(0) var<uniform> params: Params;

fn scaled_gradient(dy: Eight, octet: u32, offset: f32) -> mat2x4<f32> {
  let w = weight[octet];
  return mat2x4<f32>(
    (w[0] + offset) * unpack_low(dy),
    (w[1] + offset) * unpack_high(dy),
  );
}

fn with_products(sum: vec4<f32>, g: mat2x4<f32>, values: Eight) -> vec4<f32> {
  return sum + g[0] * unpack_low(values) + g[1] * unpack_high(values);
}

fn write_gradient(i: u32, g: mat2x4<f32>, values: Eight, scale: f32, pull: f32) {
  var low = scale * (g[0] - pull * unpack_low(values));
  var high = scale * (g[1] - pull * unpack_high(values));
  if (ACCUMULATE) {
    let before = dx[i];
    low += unpack_low(before);
    high += unpack_high(before);
  }
  dx[i] = pack_eight(low, high);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  // Once: a processor would load a parameter again in every iteration, since it may alias a store.
  let offset = params.offset;
  let lane = local % LANES;
  let row = group.x * (WORKGROUP_SIZE / LANES) + local / LANES;
  let start = row * params.octets;
  // A thread past the last row has no elements, but must still reach the barriers.
  let octets = select(0u, params.octets, row < params.rows);

  var g: array<mat2x4<f32>, HELD>;
  var values: array<Eight, HELD>;
  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let i = k * LANES + lane;
    if (i < octets) {
      values[k] = x[start + i];
      g[k] = scaled_gradient(incoming(start + i), i, offset);
    }
  }
  var dots = vec4<f32>(0.0);
  // @unroll
  for (var k = 0u; k < HELD; k++) { dots = with_products(dots, g[k], values[k]); }
  for (var i = HELD * LANES + lane; i < octets; i += LANES) {
    dots = with_products(dots, scaled_gradient(incoming(start + i), i, offset), x[start + i]);
  }
  let own = dots.x + dots.y + dots.z + dots.w;
  let dot = lanes_sum(vec2<f32>(own), local).x;
  let scale = rstd[min(row, params.rows - 1u)];
  let pull = dot * scale * scale / f32(params.columns);   // mean(g · x̂) · rstd

  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let i = k * LANES + lane;
    if (i < octets) { write_gradient(start + i, g[k], values[k], scale, pull); }
  }
  for (var i = HELD * LANES + lane; i < octets; i += LANES) {
    let gradient = scaled_gradient(incoming(start + i), i, offset);
    write_gradient(start + i, gradient, x[start + i], scale, pull);
  }
}
