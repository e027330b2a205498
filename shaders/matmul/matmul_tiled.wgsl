// c = alpha · op(A) · op(B) [+ c] [+ residual],  op(A) (M, K), op(B) (K, N), read where they lie.
// For graphics cards: a workgroup computes a tile of c, 8 or 16 k at a time through workgroup
// memory, a thread 8 x 8 of its sums: a quarter of a 32-bit load from workgroup memory per
// multiply-add.
// Operands are dequantised as tiles are filled.
//   A is (M, K) and B is (N, K), the k-major case, unless their flags are set.
// Every tile sums the same products in the same order, so all give the same bits. Workgroups with
// another z sum other terms, and write to a matrix of their own: see matmul_parts.wgsl.
// @use bfloat16 | float32
// @use octet_any, matmul_store
// @const TILE_M
// @const TILE_N
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
  part: u32,              // terms for each z, a multiple of 16
}

@group(1) @binding(0) var<uniform> params: Params;

const THREADS = TILE_M * TILE_N / 64u;
// 16 k at a time in the largest tile, else 8: a thread fills one octet of an operand or none.
const HALVES = (TILE_M + TILE_N) / 128u;
const TILE_K = 8u * HALVES;
const A_OCTETS = TILE_M * HALVES;
const B_OCTETS = TILE_N * HALVES;

// Eight rows of op(A), or columns of op(B), for every k of a tile: what a thread multiplies. Its own
// index apart, every index in it is a constant there or shared by all threads, so it costs nearly no
// instruction. Numbers, not vectors: threads write side by side, and a write to a component of a
// vector may rewrite the others (Metal and Direct3D do); four in a row are still read at once. The
// gap shifts the next block's memory banks, so that eight neighbouring threads read from all.
struct Block {
  fours: array<array<array<f32, 8>, 4>, 2u * HALVES>,   // [k / 4][k % 4][row]
  apart: array<f32, 4>,
}

var<workgroup> blocks: array<Block, (TILE_M + TILE_N) / 8u>;   // of A, then of B

// Where an octet begins in an operand's tile: one row at eight k, or eight rows at one k.
struct Place {
  row: u32,
  k: u32,
}

fn place(transposed: bool, octet: u32, tile_rows: u32) -> Place {
  if (transposed) { return Place(8u * (octet % (tile_rows / 8u)), octet / (tile_rows / 8u)); }
  return Place(octet / HALVES, 8u * (octet % HALVES));
}

// The index of an octet in its binding is origin + step_to(k). Rows and k beyond the last are read
// as the last: sums of such rows are not stored, and such k are zeroed.
fn origin(transposed: bool, row: u32, rows: u32, row_octets: u32) -> u32 {
  let last = min(row, rows - 1u);
  if (transposed) { return last / 8u; }
  return last * row_octets;
}

fn step_to(transposed: bool, k: u32, row_octets: u32) -> u32 {
  let last = min(k, params.k - 1u);
  if (transposed) { return last * row_octets; }
  return last / 8u;
}

// Zero past the last k: whatever lies there may be an infinity.
fn ended(transposed: bool, octet: Octet, k: u32) -> Octet {
  let zero = vec4<f32>(0.0);
  let end = vec4<u32>(params.k);
  let first = select(four_from(k), vec4<u32>(k), transposed);
  let second = select(four_from(k + 4u), vec4<u32>(k), transposed);
  return Octet(select(zero, octet.low, first < end), select(zero, octet.high, second < end));
}

fn put(transposed: bool, first_block: u32, at: Place, octet: Octet) {
  let block = first_block + at.row / 8u;
  let four = at.k / 4u;
  let row = at.row % 8u;
  let k = at.k % 4u;
  // @unroll
  for (var i = 0u; i < 4u; i++) {
    if (transposed) {
      blocks[block].fours[four][k][i] = octet.low[i];
      blocks[block].fours[four][k][i + 4u] = octet.high[i];
    } else {
      blocks[block].fours[four][i][row] = octet.low[i];
      blocks[block].fours[four + 1u][i][row] = octet.high[i];
    }
  }
}

// Four rows at one k.
fn quad_of(block: u32, four: u32, k: u32, half: u32) -> vec4<f32> {
  return vec4<f32>(
    blocks[block].fours[four][k][4u * half],
    blocks[block].fours[four][k][4u * half + 1u],
    blocks[block].fours[four][k][4u * half + 2u],
    blocks[block].fours[four][k][4u * half + 3u],
  );
}

fn load_a(origin: u32, k: u32) -> Stored {
  return stored_a(origin + step_to(A_TRANSPOSED, k, params.a_row_octets));
}

fn load_b(origin: u32, k: u32) -> Stored {
  return stored_b(origin + step_to(B_TRANSPOSED, k, params.b_row_octets));
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let m0 = TILE_M * group.y;
  let n0 = TILE_N * group.x;
  let start = params.part * group.z;
  let end = min(start + params.part, params.k);
  // Eight by four threads are neighbours: they read few addresses, and write whole cache lines.
  let tm = (thread / 8u) % (TILE_M / 8u);
  let tn = thread % 8u + 8u * (thread / TILE_M);
  var sums: array<array<vec4<f32>, 8>, 2>;   // [column / 4][row]
  let a_at = place(A_TRANSPOSED, thread, TILE_M);
  let b_at = place(B_TRANSPOSED, thread, TILE_N);
  let a_origin = params.a_column_octet +
    origin(A_TRANSPOSED, m0 + a_at.row, params.rows, params.a_row_octets);
  let b_origin = params.b_column_octet +
    origin(B_TRANSPOSED, n0 + b_at.row, params.columns, params.b_row_octets);
  let fills_a = A_OCTETS == THREADS || thread < A_OCTETS;
  let fills_b = B_OCTETS == THREADS || thread < B_OCTETS;
  // Loaded a tile ahead, so that the multiplications hide the latency.
  var a_stored = load_a(a_origin, start + a_at.k);
  var b_stored = load_b(b_origin, start + b_at.k);
  if (B_FORMAT == NF4) { prepare_tables(thread); }
  for (var k0 = start; k0 < end; k0 += TILE_K) {
    var a_octet = decoded(A_FORMAT, a_stored);
    var b_octet = decoded(B_FORMAT, b_stored);
    if (k0 + TILE_K > params.k) {
      a_octet = ended(A_TRANSPOSED, a_octet, k0 + a_at.k);
      b_octet = ended(B_TRANSPOSED, b_octet, k0 + b_at.k);
    }
    workgroupBarrier();
    if (fills_a) { put(A_TRANSPOSED, 0u, a_at, a_octet); }
    if (fills_b) { put(B_TRANSPOSED, TILE_M / 8u, b_at, b_octet); }
    workgroupBarrier();
    if (fills_a) { a_stored = load_a(a_origin, k0 + TILE_K + a_at.k); }
    if (fills_b) { b_stored = load_b(b_origin, k0 + TILE_K + b_at.k); }
    for (var four = 0u; four < 2u * HALVES; four++) {
      // @unroll
      for (var k = 0u; k < 4u; k++) {
        let low = quad_of(tm, four, k, 0u);
        let high = quad_of(tm, four, k, 1u);
        let b0 = quad_of(TILE_M / 8u + tn, four, k, 0u);
        let b1 = quad_of(TILE_M / 8u + tn, four, k, 1u);
        // @unroll
        for (var r = 0u; r < 4u; r++) {
          sums[0][r] = fma(vec4<f32>(low[r]), b0, sums[0][r]);
          sums[1][r] = fma(vec4<f32>(low[r]), b1, sums[1][r]);
          sums[0][r + 4u] = fma(vec4<f32>(high[r]), b0, sums[0][r + 4u]);
          sums[1][r + 4u] = fma(vec4<f32>(high[r]), b1, sums[1][r + 4u]);
        }
      }
    }
  }
  let quad = n0 / 4u + 2u * tn;
  // @unroll
  for (var r = 0u; r < 8u; r++) {
    store_quad_from(params.rows * group.z, m0 + 8u * tm + r, quad, sums[0][r]);
    store_quad_from(params.rows * group.z, m0 + 8u * tm + r, quad + 1u, sums[1][r]);
  }
}
