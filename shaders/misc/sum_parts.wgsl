// parts[g] = Σ x, or Σ x², over the elements of LANES threads, each of which strides over all
// elements; sum.wgsl adds up the parts. The order is fixed, so that the same numbers give the same
// bits.
//   On a card neighbouring threads read neighbouring quads, several at once; on a processor a thread
// reads some of a cache line, for as many parts.
// @use lanes
// @const HELD      quads that a thread loads at once for a part
// @const STREAMS   parts of a thread; LANES is 1 with several

struct Params {
  quads: u32,     // quads stored in this range; padding is zero
  squared: u32,   // 1 sums squares
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;          // (n)
@group(0) @binding(1) var<storage, read_write> parts: array<f32>;      // a part for LANES threads
@group(1) @binding(0) var<uniform> params: Params;

fn term(values: vec4<f32>, squared: bool) -> vec4<f32> {
  return values * select(vec4<f32>(1.0), values, squared);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  // Once: a processor would load a parameter again in every iteration, since it may alias a store.
  let quads = params.quads;
  let squared = params.squared == 1u;
  let stride = groups.x * WORKGROUP_SIZE * STREAMS;
  var sums: array<vec4<f32>, STREAMS>;
  var i = id.x * STREAMS;
  for (; i + (HELD - 1u) * stride + STREAMS <= quads; i += HELD * stride) {
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      // @unroll
      for (var s = 0u; s < STREAMS; s++) { sums[s] += term(x[i + k * stride + s], squared); }
    }
  }
  for (; i < quads; i += stride) {
    // @unroll
    for (var s = 0u; s < STREAMS; s++) {
      if (i + s < quads) { sums[s] += term(x[i + s], squared); }
    }
  }
  // @unroll
  for (var s = 0u; s < STREAMS; s++) {
    let own = sums[s].x + sums[s].y + sums[s].z + sums[s].w;
    let part = lanes_sum(vec2<f32>(own), local).x;
    if (local % LANES == 0u) { parts[id.x / LANES * STREAMS + s] = part; }
  }
}
