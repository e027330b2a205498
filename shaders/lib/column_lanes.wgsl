// LANES threads share an octet of columns: each sums every LANES-th row, then half of them add the
// sums of the other half, and so on, in a fixed order. Adjacent threads read adjacent memory.
override WORKGROUP_SIZE: u32;   // a multiple of LANES
override LANES: u32;            // a power of two

var<workgroup> lane_sums: array<mat2x4<f32>, WORKGROUP_SIZE>;

struct ColumnPlace {
  lane: u32,
  octet: u32,   // may lie past the last one
}

// A thread's place: a workgroup's threads are octets by lanes.
fn column_place(group: u32, local: u32) -> ColumnPlace {
  let octets = WORKGROUP_SIZE / LANES;
  return ColumnPlace(local / octets, group * octets + local % octets);
}

// The sum over the lanes of an octet, for its lane 0. Every thread of the workgroup must call this
// function. One lane shares nothing and needs no barrier, which is expensive on a processor.
fn columns_sum(own: mat2x4<f32>, local: u32) -> mat2x4<f32> {
  if (LANES == 1u) { return own; }
  let octets = WORKGROUP_SIZE / LANES;
  var sum = own;
  lane_sums[local] = sum;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (local < half * octets) {
      sum += lane_sums[local + half * octets];
      lane_sums[local] = sum;
    }
    workgroupBarrier();
  }
  return sum;
}
