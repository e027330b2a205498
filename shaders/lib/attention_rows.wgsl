// Numbers of a row from the threads that share it: first from those less than NEAR apart, which
// exchange registers if the adapter can, then through workgroup memory. Overwrites row_tile: a
// barrier must precede the next write to it.
// @use attention_tile
// @use attention_near_shared | attention_near_subgroup
fn exchange(own: Statistics, row_lane: u32, lane: u32) {
  workgroupBarrier();
  // @unroll
  for (var g = 0u; g < GROUPS; g++) {
    row_tile[lane / CHUNK][g][row_lane][lane % CHUNK] = own[g];
  }
  workgroupBarrier();
}

// The largest over the lanes of each row.
fn row_maxima(own: Statistics, row_lane: u32, lane: u32) -> Statistics {
  var maxima = own;
  // @unroll
  for (var g = 0u; g < GROUPS; g++) { maxima[g] = near_max(own[g]); }
  if (NEAR == LANES) { return maxima; }
  exchange(maxima, row_lane, lane);
  // @unroll
  for (var g = 0u; g < GROUPS; g++) {
    // @unroll
    for (var i = 0u; i < LANES; i += NEAR) {
      maxima[g] = max(maxima[g], row_tile[i / CHUNK][g][row_lane][i % CHUNK]);
    }
  }
  return maxima;
}

// The sum over the lanes of each row.
fn row_sums(own: Statistics, row_lane: u32, lane: u32) -> Statistics {
  var near: Statistics;
  // @unroll
  for (var g = 0u; g < GROUPS; g++) { near[g] = near_sum(own[g]); }
  if (NEAR == LANES) { return near; }
  exchange(near, row_lane, lane);
  var sums = Statistics();
  // @unroll
  for (var g = 0u; g < GROUPS; g++) {
    // @unroll
    for (var i = 0u; i < LANES; i += NEAR) {
      sums[g] += row_tile[i / CHUNK][g][row_lane][i % CHUNK];
    }
  }
  return sums;
}
