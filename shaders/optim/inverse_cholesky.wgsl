// Overwrites the Gram matrix S = B·Bᵀ of a block of rows with a W that orthonormalises them, W·B:
//   A = D·S·D + shift·1,  D = diag(S)^-½       scaled to a diagonal of ones, which conditions it best
//   A = L·diag(p)·Lᵀ,     W = diag(p)^-½·L⁻¹·D                   (Golub & Van Loan, section 4.1)
// A row becomes zero if its length is, or if at most `least` of its squared length remains beyond
// the span of the rows before it, p_i·s_ii ≤ least. With a shift, no p_i is below the shift.
//
// Gaussian elimination of [A | 1], in place: column i of A is zero below the diagonal once row i
// is eliminated, and column i of L⁻¹ takes its place. One workgroup: each row depends on those
// before. Its threads, SIDE × SIDE, hold 8 × 8 elements each in registers, and exchange a row and a
// column at each step; of the two copies one is read while the other is written, so that a step
// needs one barrier.
// @use fours
// @const SIDE

var<workgroup> rows: array<array<array<vec4<f32>, 2>, SIDE>, 2>;
var<workgroup> columns: array<array<array<vec4<f32>, 2>, SIDE>, 2>;
var<workgroup> scales: array<array<vec4<f32>, 2>, SIDE>;   // diagonal of D
var<workgroup> pivots: array<array<vec4<f32>, 2>, SIDE>;   // p, 0 for a row that becomes zero

struct Params {
  size: u32,        // 8 SIDE at most
  row_octets: u32,
  shift: f32,
  least: f32,
}

@group(0) @binding(0) var<storage, read_write> gram: array<array<vec4<f32>, 2>>;   // (size, size)
@group(1) @binding(0) var<uniform> params: Params;

// x^-½, 0 where x is not positive.
fn inverse_roots(x: vec4<f32>) -> vec4<f32> {
  let positive = x > vec4<f32>(0.0);
  return select(vec4<f32>(0.0), inverseSqrt(select(vec4<f32>(1.0), x, positive)), positive);
}

@compute @workgroup_size(SIDE, SIDE)
fn main(
  @builtin(local_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let across = id.x;   // its columns: 8 across + 0 … 7
  let down = id.y;     // its rows: 8 down + 0 … 7
  if (local < 2u * SIDE) {
    var diagonal = vec4<f32>(0.0);
    // @unroll
    for (var c = 0u; c < 4u; c++) {
      let i = 4u * local + c;
      if (i < params.size) { diagonal[c] = gram[i * params.row_octets + i / 8u][local % 2u][c]; }
    }
    scales[local / 2u][local % 2u] = inverse_roots(diagonal);
  }
  workgroupBarrier();
  storageBarrier();   // all threads have read a diagonal that others are about to overwrite

  let of_rows = scales[down];
  let of_columns = scales[across];
  var tile: array<array<vec4<f32>, 2>, 8>;
  // @unroll
  for (var r = 0u; r < 8u; r++) {
    let row = 8u * down + r;
    if (row < params.size && across < params.row_octets) {
      // @unroll
      for (var half = 0u; half < 2u; half++) {
        let values = gram[row * params.row_octets + across][half];
        tile[r][half] = of_rows[r / 4u][r % 4u] * values * of_columns[half];
      }
    }
    if (across == down) { tile[r][r / 4u][r % 4u] += params.shift; }
  }

  if (down == 0u) { rows[0][across] = tile[0]; }
  if (across == 0u) {
    // @unroll
    for (var half = 0u; half < 2u; half++) {
      columns[0][down][half] = vec4<f32>(
        tile[4u * half][0].x, tile[4u * half + 1u][0].x,
        tile[4u * half + 2u][0].x, tile[4u * half + 3u][0].x,
      );
    }
  }
  for (var octet = 0u; octet < params.row_octets; octet++) {
    // @unroll
    for (var i = 0u; i < 8u; i++) {
      workgroupBarrier();
      // Equal in all threads.
      let found = columns[i % 2u][octet][i / 4u][i % 4u];
      let pivot = max(found, params.shift);
      let scale = scales[octet][i / 4u][i % 4u];
      let independent = scale > 0.0 && pivot > params.least * scale * scale;
      let inverse = select(0.0, 1.0 / pivot, independent);
      if (local == 0u) { pivots[octet][i / 4u][i % 4u] = select(0.0, pivot, independent); }

      // Row i times the factors is subtracted from the rows below it. Its element of column i is
      // chosen so that minus the factors, column i of L⁻¹, remain there.
      let column = columns[i % 2u][down];
      var row = rows[i % 2u][across];
      if (across == octet) { row[i / 4u][i % 4u] = pivot + 1.0; }
      // @unroll
      for (var r = 0u; r < 8u; r++) {
        let below = 8u * down + r > 8u * octet + i;
        let factor = select(0.0, inverse * column[r / 4u][r % 4u], below);
        // @unroll
        for (var half = 0u; half < 2u; half++) { tile[r][half] -= factor * row[half]; }
      }

      let next = octet + (i + 1u) / 8u;
      if (down == next) { rows[(i + 1u) % 2u][across] = tile[(i + 1u) % 8u]; }
      if (across == next) {
        // @unroll
        for (var half = 0u; half < 2u; half++) {
          columns[(i + 1u) % 2u][down][half] = vec4<f32>(
            tile[4u * half][(i + 1u) % 8u / 4u][(i + 1u) % 4u],
            tile[4u * half + 1u][(i + 1u) % 8u / 4u][(i + 1u) % 4u],
            tile[4u * half + 2u][(i + 1u) % 8u / 4u][(i + 1u) % 4u],
            tile[4u * half + 3u][(i + 1u) % 8u / 4u][(i + 1u) % 4u],
          );
        }
      }
    }
  }
  workgroupBarrier();

  let lengths = array<vec4<f32>, 2>(inverse_roots(pivots[down][0]), inverse_roots(pivots[down][1]));
  // @unroll
  for (var r = 0u; r < 8u; r++) {
    let row = 8u * down + r;
    if (row < params.size && across < params.row_octets) {
      // @unroll
      for (var half = 0u; half < 2u; half++) {
        let column = four_from(8u * across + 4u * half);
        // A row that becomes zero is not subtracted from others.
        let held = (column < vec4<u32>(row)) & (pivots[across][half] > vec4<f32>(0.0));
        let before = select(vec4<f32>(0.0), tile[r][half], held);
        let lower = select(before, vec4<f32>(1.0), column == vec4<u32>(row));
        gram[row * params.row_octets + across][half] =
          lengths[r / 4u][r % 4u] * lower * of_columns[half];
      }
    }
  }
}
