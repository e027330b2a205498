// Modified Gram–Schmidt over the rows of a small block, in place (Golub & Van Loan, algorithm
// 5.2.6, on rows): for i = 0, 1, …
//   b_i ← b_i / |b_i|,   b_j ← b_j − (b_j · b_i) b_i   for j > i
// A row whose remaining squared length is at most `least` becomes zero. One workgroup: 32 rows are
// little work, and the dot products of a row depend on the rows before it. A thread owns the same
// columns in all rows, so that only dot products are exchanged.
override WORKGROUP_SIZE: u32;

const MOST_ROWS = 32u;
// Sums per row and thread; at most 64 threads, so 8 of the 16 KiB available.
var<workgroup> parts: array<array<f32, 64>, MOST_ROWS>;
var<workgroup> dots: array<f32, MOST_ROWS>;

struct Params {
  rows: u32,
  row_quads: u32,
  least: f32,
}

@group(0) @binding(0) var<storage, read_write> block: array<vec4<f32>>;   // (rows, columns)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_index) local: u32) {
  let quads = params.row_quads;
  for (var i = 0u; i < params.rows; i++) {
    for (var j = i; j < params.rows; j++) {
      var sum = vec4<f32>(0.0);
      for (var quad = local; quad < quads; quad += WORKGROUP_SIZE) {
        sum += block[i * quads + quad] * block[j * quads + quad];
      }
      parts[j][local] = sum.x + sum.y + sum.z + sum.w;
    }
    workgroupBarrier();
    for (var j = i + local; j < params.rows; j += WORKGROUP_SIZE) {
      var sum = 0.0;
      for (var thread = 0u; thread < WORKGROUP_SIZE; thread++) { sum += parts[j][thread]; }
      dots[j] = sum;
    }
    workgroupBarrier();
    let independent = dots[i] > params.least;
    let scale = select(0.0, inverseSqrt(select(1.0, dots[i], independent)), independent);
    for (var j = i + 1u; j < params.rows; j++) {
      let factor = dots[j] * scale * scale;
      for (var quad = local; quad < quads; quad += WORKGROUP_SIZE) {
        block[j * quads + quad] -= factor * block[i * quads + quad];
      }
    }
    for (var quad = local; quad < quads; quad += WORKGROUP_SIZE) {
      block[i * quads + quad] *= scale;
    }
  }
}
