// out[c] (+)= Σ_g x[g, c], in float32
// LANES threads share a quad of columns: each sums every LANES-th row, and the first adds up their
// sums. Adjacent threads read adjacent memory, and the order is fixed.
// @use bfloat16 | float32
override WORKGROUP_SIZE: u32;   // a multiple of LANES
override LANES: u32;

struct Params {
  rows: u32,         // G, of this range
  quads: u32,        // row stride, in quads
  accumulate: u32,   // 1 adds to out
}

@group(0) @binding(0) var<storage, read> x: array<Quad>;                 // (G, C)
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;    // (C)
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> lane_sums: array<vec4<f32>, WORKGROUP_SIZE>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group_quads = WORKGROUP_SIZE / LANES;
  let lane = local / group_quads;
  let quad = group.x * group_quads + local % group_quads;
  var sum = vec4<f32>(0.0);
  // A thread past the last quad has no rows, but must still reach the barrier.
  let rows = select(0u, params.rows, quad < params.quads);
  for (var row = lane; row < rows; row += LANES) { sum += unpack(x[row * params.quads + quad]); }
  // One lane shares nothing and needs no barrier, which is expensive on a processor.
  if (LANES > 1u) {
    lane_sums[local] = sum;
    workgroupBarrier();
    for (var other = 1u; other < LANES; other++) {
      sum += lane_sums[(local + other * group_quads) % WORKGROUP_SIZE];
    }
  }
  if (lane > 0u || quad >= params.quads) { return; }
  if (params.accumulate == 1u) { sum += out[quad]; }
  out[quad] = sum;
}
