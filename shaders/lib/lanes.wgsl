// LANES threads share a row, a group or a block: each processes every LANES-th of its parts, then
// all receive the maxima or sums of the whole, exchanged between lanes 1 apart, then 2, 4 and so
// on, so that the order is the same in either variant. Lanes less than NEAR apart exchange
// registers if the adapter can (lanes_subgroup.wgsl), others use workgroup memory.
//   Every thread of the workgroup must call these functions. One lane shares nothing and needs no
// barrier, which is expensive on a processor.
// @use lanes_shared | lanes_subgroup
override WORKGROUP_SIZE: u32;   // a multiple of LANES
override LANES: u32;            // a power of two

var<workgroup> lane_values: array<vec2<f32>, WORKGROUP_SIZE>;

// Between what lanes have read and one of them overwrites: other barriers order workgroup memory alone,
// and registers nothing.
fn lanes_have_read() {
  if (LANES > 1u) { storageBarrier(); }
}

fn lanes_max(own: vec2<f32>, local: u32) -> vec2<f32> {
  if (LANES == 1u) { return own; }
  var values = near_max(own);
  for (var step = NEAR; step < LANES; step *= 2u) {
    lane_values[local] = values;
    workgroupBarrier();
    values = max(values, lane_values[local ^ step]);
    workgroupBarrier();
  }
  return values;
}

fn lanes_sum(own: vec2<f32>, local: u32) -> vec2<f32> {
  if (LANES == 1u) { return own; }
  var values = near_sum(own);
  for (var step = NEAR; step < LANES; step *= 2u) {
    lane_values[local] = values;
    workgroupBarrier();
    values += lane_values[local ^ step];
    workgroupBarrier();
  }
  return values;
}
