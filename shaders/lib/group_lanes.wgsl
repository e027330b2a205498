// LANES threads share a group and go over its octets side by side; then each knows the extent of
// the whole group. With one lane there is nothing to share, and no barrier, which a processor's
// threads pay for dearly.
override WORKGROUP_SIZE: u32;   // a multiple of LANES
override LANES: u32;

var<workgroup> lane_extents: array<vec2<f32>, WORKGROUP_SIZE>;

fn shared_extent(own: Extent, local: u32) -> Extent {
  if (LANES == 1u) { return own; }
  lane_extents[local] = vec2<f32>(own.low, own.high);
  workgroupBarrier();
  var extent = own;
  let first = local / LANES * LANES;
  for (var lane = 0u; lane < LANES; lane++) {
    let other = lane_extents[first + lane];
    extent.low = min(extent.low, other.x);
    extent.high = max(extent.high, other.y);
  }
  return extent;
}
