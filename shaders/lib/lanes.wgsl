// LANES threads share a row, a group or a block: each processes every LANES-th of its parts, then
// all receive the maxima or sums of the whole, exchanged between lanes 1 apart, then 2, 4 and so
// on, so that the order is the same in either variant. Lanes less than NEAR apart exchange
// registers if the adapter can (lanes_subgroup.wgsl), others use workgroup memory.
//   Every thread of the workgroup must call these functions. They have no barrier where subgroups do the
// whole exchange: a processor pays for one even if it never runs.
// @use lanes_shared | lanes_subgroup
override WORKGROUP_SIZE: u32;   // a multiple of LANES
override LANES: u32;            // a power of two

var<workgroup> lane_values: array<vec2<f32>, WORKGROUP_SIZE>;

fn lanes_max(own: vec2<f32>, local: u32) -> vec2<f32> {
  var values = near_max(own);
  if (LANES <= NEAR) { return values; }
  for (var step = NEAR; step < LANES; step *= 2u) {
    lane_values[local] = values;
    workgroupBarrier();
    values = max(values, lane_values[local ^ step]);
    workgroupBarrier();
  }
  return values;
}

fn lanes_sum(own: vec2<f32>, local: u32) -> vec2<f32> {
  var values = near_sum(own);
  if (LANES <= NEAR) { return values; }
  for (var step = NEAR; step < LANES; step *= 2u) {
    lane_values[local] = values;
    workgroupBarrier();
    values += lane_values[local ^ step];
    workgroupBarrier();
  }
  return values;
}
