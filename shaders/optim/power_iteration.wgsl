// The leading eigenvector of a symmetric matrix without negative eigenvalues, by power iteration
// from `vector`: vector ← T·vector / max |T·vector|, `iterations` times (Golub & Van Loan, section
// 8.2.1). One workgroup: the matrix is small, and each iteration depends on the previous one. A
// thread processes four rows at a time. A zero matrix gives a zero vector.
// @use fours
override WORKGROUP_SIZE: u32;

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
fn products(row: u32, first: u32) -> vec4<f32> {
  let quads = params.row_quads;
  // Rows past the end are read as the last one and excluded.
  let rows = min(four_from(row), vec4<u32>(params.size - 1u)) * quads;
  var sums = mat4x4<f32>();
  for (var quad = 0u; quad < quads; quad++) {
    let values = vectors[first + quad];
    sums[0] += matrix[rows.x + quad] * values;
    sums[1] += matrix[rows.y + quad] * values;
    sums[2] += matrix[rows.z + quad] * values;
    sums[3] += matrix[rows.w + quad] * values;
  }
  let inside = four_from(row) < vec4<u32>(params.size);
  // A row of ones times a matrix adds up its columns.
  return select(vec4<f32>(0.0), vec4<f32>(1.0) * sums, inside);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_index) local: u32) {
  let quads = params.row_quads;
  var scale = 1.0;
  for (var i = 0u; i < params.iterations; i++) {
    let current = select(quads, 0u, i % 2u == 0u);
    var most = 0.0;
    for (var quad = local; quad < quads; quad += WORKGROUP_SIZE) {
      let values = scale * products(4u * quad, current);
      vectors[quads - current + quad] = values;
      let sizes = abs(values);
      most = max(most, largest_of(sizes));
    }
    maxima[local] = most;
    storageBarrier();
    workgroupBarrier();
    most = 0.0;
    for (var thread = 0u; thread < WORKGROUP_SIZE; thread++) { most = max(most, maxima[thread]); }
    scale = 1.0 / select(1.0, most, most > 0.0);   // zeros stay zeros
    workgroupBarrier();
  }
  for (var quad = local; quad < quads; quad += WORKGROUP_SIZE) {
    vectors[quad] *= scale;
  }
}
