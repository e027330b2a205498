// Sums of squares of an octet of columns of the shader's x, float32, over every LANES-th row from
// `first` to before `end` (column_lanes.wgsl): HELD rows are under way at once.
fn lane_squares(first: u32, end: u32, octets: u32, octet: u32) -> mat2x4<f32> {
  var squares = mat2x4<f32>();
  for (var row = first; row < end; row += HELD * LANES) {
    var held: array<mat2x4<f32>, HELD>;
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      let at = row + k * LANES;
      if (at < end) { held[k] = x[at * octets + octet]; } else { held[k] = mat2x4<f32>(); }
    }
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      squares[0] += held[k][0] * held[k][0];
      squares[1] += held[k][1] * held[k][1];
    }
  }
  return squares;
}
