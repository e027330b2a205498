// LANES threads share a quantisation group or block and go over its elements side by side; then
// each learns the maxima of the whole. With one lane there is nothing to share, and no barrier,
// which a processor's threads pay for dearly.
//   A kernel calls lanes_max once. A second call would overwrite maxima that slower threads still
// read: put a workgroupBarrier() before it, where LANES > 1.
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
