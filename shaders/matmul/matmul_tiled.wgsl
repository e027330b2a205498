// c = alpha · op(A) · op(B) [+ c] [+ residual],  op(A) (M, K), op(B) (K, N), read where they lie.
// For graphics cards: 64 x 64 tiles of c, 16 k at a time through workgroup memory (8.5 KiB, so that
// several workgroups share a core), 64 threads with 8 x 8 sums each: a quarter of a 32-bit load
// from workgroup memory per multiply-add. Operands are dequantised as tiles are filled.
//   A is (M, K) and B is (N, K), the k-major case, unless their flags are set.
// @use bfloat16 | float32
// @use octet_any, matmul_store
override A_TRANSPOSED: bool;   // A is (K, M)
override B_TRANSPOSED: bool;   // B is (K, N)

struct Params {
  rows: u32,
  columns: u32,
  row_quads: u32,
  first_quad: u32,
  alpha: f32,
  k: u32,
  a_row_octets: u32,      // a row's stride
  a_column_octet: u32,    // first octet of the block in a row of the binding
  a_first_octet: u32,
  a_group_octets: u32,
  b_row_octets: u32,
  b_column_octet: u32,
  b_first_octet: u32,
  b_group_octets: u32,
}

@group(1) @binding(0) var<uniform> params: Params;

const TILE_K = 16u;
// Quads from one k to the next: one more than in a tile, against bank conflicts.
const PITCH = 17u;
var<workgroup> a_tile: array<vec4<f32>, 272>;   // [k][m / 4]
var<workgroup> b_tile: array<vec4<f32>, 272>;   // [k][n / 4]

fn octet_of(is_a: bool, row: u32, column_octet: u32) -> Octet {
  if (is_a) {
    return octet_a(row * params.a_row_octets + params.a_column_octet + column_octet);
  }
  return octet_b(row * params.b_row_octets + params.b_column_octet + column_octet);
}

fn put(is_a: bool, k: u32, quad: u32, values: vec4<f32>) {
  if (is_a) { a_tile[k * PITCH + quad] = values; } else { b_tile[k * PITCH + quad] = values; }
}

// One of 32 threads fills its share of an operand's tile: 4 rows x 8 k. `start` is the tile's first
// row of op(X), `size` the number of rows. Elements past the end become zero.
fn fill(is_a: bool, share: u32, start: u32, size: u32, k0: u32) {
  let zero = Octet(vec4<f32>(0.0), vec4<f32>(0.0));
  let quad = share / 2u;
  let row = start + 4u * quad;
  let k = 8u * (share % 2u);
  var o = array<Octet, 4>(zero, zero, zero, zero);
  if (k0 + k < params.k) {
    for (var i = 0u; i < 4u; i++) {
      if (row + i < size) { o[i] = octet_of(is_a, row + i, (k0 + k) / 8u); }
    }
  }
  let low = transpose(mat4x4<f32>(o[0].low, o[1].low, o[2].low, o[3].low));
  let high = transpose(mat4x4<f32>(o[0].high, o[1].high, o[2].high, o[3].high));
  for (var i = 0u; i < 4u; i++) {
    put(is_a, k + i, quad, select(vec4<f32>(0.0), low[i], k0 + k + i < params.k));
    put(is_a, k + 4u + i, quad, select(vec4<f32>(0.0), high[i], k0 + k + 4u + i < params.k));
  }
}

// The same for an operand stored with k along its rows: 4 k x 8 of op(X)'s rows, already in order.
fn fill_transposed(is_a: bool, share: u32, start: u32, size: u32, k0: u32) {
  let column = share % 8u;
  for (var i = 0u; i < 4u; i++) {
    let k = share / 8u + 4u * i;
    var o = Octet(vec4<f32>(0.0), vec4<f32>(0.0));
    if (k0 + k < params.k && start + 8u * column < size) {
      o = octet_of(is_a, k0 + k, start / 8u + column);
    }
    put(is_a, k, 2u * column, o.low);
    put(is_a, k, 2u * column + 1u, o.high);
  }
}

// Column r of the result is row r of c, its components four columns of c.
fn outer(rows: vec4<f32>, columns: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(columns * rows.x, columns * rows.y, columns * rows.z, columns * rows.w);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let m0 = 64u * group.y;
  let n0 = 64u * group.x;
  let tm = thread / 8u;
  let tn = thread % 8u;
  var c00 = mat4x4<f32>();
  var c01 = mat4x4<f32>();
  var c10 = mat4x4<f32>();
  var c11 = mat4x4<f32>();
  for (var k0 = 0u; k0 < params.k; k0 += TILE_K) {
    workgroupBarrier();
    if (thread < 32u) {
      if (A_TRANSPOSED) {
        fill_transposed(true, thread, m0, params.rows, k0);
      } else {
        fill(true, thread, m0, params.rows, k0);
      }
    } else {
      if (B_TRANSPOSED) {
        fill_transposed(false, thread - 32u, n0, params.columns, k0);
      } else {
        fill(false, thread - 32u, n0, params.columns, k0);
      }
    }
    workgroupBarrier();
    for (var k = 0u; k < TILE_K; k++) {
      // Quads tm and tm + 8, not adjacent ones, so that adjacent threads read adjacent quads.
      let a0 = a_tile[k * PITCH + tm];
      let a1 = a_tile[k * PITCH + tm + 8u];
      let b0 = b_tile[k * PITCH + tn];
      let b1 = b_tile[k * PITCH + tn + 8u];
      c00 += outer(a0, b0);
      c01 += outer(a0, b1);
      c10 += outer(a1, b0);
      c11 += outer(a1, b1);
    }
  }
  let m = m0 + 4u * tm;
  let quad = n0 / 4u + tn;
  for (var r = 0u; r < 4u; r++) {
    store_quad(m + r, quad, c00[r]);
    store_quad(m + r, quad + 8u, c01[r]);
    store_quad(m + 32u + r, quad, c10[r]);
    store_quad(m + 32u + r, quad + 8u, c11[r]);
  }
}
