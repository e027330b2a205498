// The leading eigenvector of a symmetric matrix without negative eigenvalues, by power iteration
// from `vector`: vector ← T·vector / max |T·vector|, `iterations` times (Golub & Van Loan, section
// 8.2.1). One workgroup: the matrix is small, and each iteration depends on the previous one. LANES
// threads process four rows at a time. A zero matrix gives a zero vector.
// @use fours, lanes
// @const HELD   quads of each row that a thread loads at once

// Of each LANES threads.
var<workgroup> maxima: array<f32, WORKGROUP_SIZE>;

struct Params {
  size: u32,
  row_quads: u32,
  iterations: u32,   // even, so that the result is in the first row
}

@group(0) @binding(0) var<storage, read> matrix: array<vec4<f32>>;               // (size, size)
// (2, size): the vector in the first row, before and after; scratch in the second.
@group(0) @binding(1) var<storage, read_write> vectors: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

// Four rows of the matrix times the vector that begins at quad `first`.
fn products(row: u32, first: u32, local: u32) -> vec4<f32> {
  let quads = params.row_quads;
  // Rows past the end are read as the last one and excluded.
  let rows = min(four_from(row), vec4<u32>(params.size - 1u)) * quads;
  var sums = mat4x4<f32>();
  for (var block = local % LANES; block < quads; block += HELD * LANES) {
    var values: array<vec4<f32>, HELD>;
    var held: array<mat4x4<f32>, HELD>;
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      let quad = block + k * LANES;
      if (quad < quads) {
        values[k] = vectors[first + quad];
        held[k] = mat4x4<f32>(
          matrix[rows.x + quad], matrix[rows.y + quad], matrix[rows.z + quad], matrix[rows.w + quad],
        );
      }
    }
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      if (block + k * LANES < quads) {
        sums[0] += held[k][0] * values[k];
        sums[1] += held[k][1] * values[k];
        sums[2] += held[k][2] * values[k];
        sums[3] += held[k][3] * values[k];
      }
    }
  }
  // A row of ones times a matrix adds up its columns.
  let own = vec4<f32>(1.0) * sums;
  let all = vec4<f32>(lanes_sum(own.xy, local), lanes_sum(own.zw, local));
  return select(vec4<f32>(0.0), all, four_from(row) < vec4<u32>(params.size));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_index) local: u32) {
  let teams = WORKGROUP_SIZE / LANES;
  let team = local / LANES;
  let quads = params.row_quads;
  var scale = 1.0;
  for (var i = 0u; i < params.iterations; i++) {
    let current = select(quads, 0u, i % 2u == 0u);
    var most = 0.0;
    // As many rounds for every team: lanes_sum has barriers.
    for (var first = 0u; first < quads; first += teams) {
      let quad = first + team;
      let values = scale * products(4u * quad, current, local);
      if (quad < quads) {
        vectors[quads - current + quad] = values;
        most = max(most, largest_of(abs(values)));
      }
    }
    maxima[team] = most;
    storageBarrier();
    workgroupBarrier();
    most = 0.0;
    for (var other = 0u; other < teams; other++) { most = max(most, maxima[other]); }
    scale = 1.0 / select(1.0, most, most > 0.0);   // zeros stay zeros
    workgroupBarrier();
  }
  for (var quad = local; quad < quads; quad += WORKGROUP_SIZE) {
    vectors[quad] *= scale;
  }
}
