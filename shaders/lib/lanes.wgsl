// LANES threads share a quantisation group or block and process its elements interleaved; then each
// receives the maxima of the whole. One lane shares nothing and needs no barrier, which is
// expensive on a processor.
//   Call lanes_max once per kernel. A second call would overwrite maxima that slower threads still
// read: it needs a workgroupBarrier() before it if LANES > 1.
override WORKGROUP_SIZE: u32;   // a multiple of LANES
override LANES: u32;

var<workgroup> lane_maxima: array<vec2<f32>, WORKGROUP_SIZE>;

fn lanes_max(own: vec2<f32>, local: u32) -> vec2<f32> {
  if (LANES == 1u) { return own; }
  lane_maxima[local] = own;
  workgroupBarrier();
  var maxima = own;
  let first = local / LANES * LANES;
  for (var lane = 0u; lane < LANES; lane++) {
    maxima = max(maxima, lane_maxima[first + lane]);
  }
  return maxima;
}
