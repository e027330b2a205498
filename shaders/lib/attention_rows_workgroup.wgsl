// Numbers of a row from the threads that share it, through workgroup memory. Twin:
// attention_rows_subgroup.wgsl. Overwrites row_tile; a barrier must precede the next write to it.
// @use attention_tile
fn exchange(own: Statistics, row_lane: u32, lane: u32) {
  workgroupBarrier();
  // @unroll
  for (var g = 0u; g < GROUPS; g++) {
    row_tile[2u * g + lane / CHUNK][row_lane][lane % CHUNK] = own[g];
  }
  workgroupBarrier();
}

// The largest over the lanes of each row.
fn row_maxima(own: Statistics, row_lane: u32, lane: u32) -> Statistics {
  exchange(own, row_lane, lane);
  var maxima = own;
  // @unroll
  for (var g = 0u; g < GROUPS; g++) {
    // @unroll
    for (var i = 0u; i < LANES; i++) {
      maxima[g] = max(maxima[g], row_tile[2u * g + i / CHUNK][row_lane][i % CHUNK]);
    }
  }
  return maxima;
}

// The sum over the lanes of each row.
fn row_sums(own: Statistics, row_lane: u32, lane: u32) -> Statistics {
  exchange(own, row_lane, lane);
  var sums = Statistics();
  // @unroll
  for (var g = 0u; g < GROUPS; g++) {
    // @unroll
    for (var i = 0u; i < LANES; i++) {
      sums[g] += row_tile[2u * g + i / CHUNK][row_lane][i % CHUNK];
    }
  }
  return sums;
}
