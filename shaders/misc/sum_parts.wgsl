// parts[g] = Σ x, or Σ x², over the elements of LANES threads, each of which strides over all
// elements; sum.wgsl adds up the parts. The order is fixed, so that the same numbers give the same
// bits.
// @use lanes
// @const HELD   quads that a thread loads at once

struct Params {
  quads: u32,     // quads stored in this range; padding is zero
  squared: u32,   // 1 sums squares
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;          // (n)
@group(0) @binding(1) var<storage, read_write> parts: array<f32>;      // a part for LANES threads
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  // Once: a processor would load a parameter again in every iteration, since it may alias a store.
  let quads = params.quads;
  let squared = params.squared == 1u;
  let threads = groups.x * WORKGROUP_SIZE;
  var sum = vec4<f32>(0.0);
  for (var i = id.x; i < quads; i += HELD * threads) {
    var values: array<vec4<f32>, HELD>;
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      if (i + k * threads < quads) { values[k] = x[i + k * threads]; }
    }
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      if (i + k * threads < quads) {
        sum += values[k] * select(vec4<f32>(1.0), values[k], squared);
      }
    }
  }
  let own = sum.x + sum.y + sum.z + sum.w;
  let part = lanes_sum(vec2<f32>(own), local).x;
  if (local % LANES == 0u) { parts[id.x / LANES] = part; }
}
