// c = alpha · op(A) · op(B) [+ c] [+ residual],  op(A) (M, K), op(B) (K, N), read where they lie.
// For graphics cards: a workgroup computes a tile of c, 8 or 16 k at a time through workgroup memory,
// a thread 8 x 8 of its sums: a quarter of a 32-bit load from workgroup memory per multiply-add.
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
// 16 k at a time, or 8 in a tile of 64 x 64, of which more would take too many registers.
const HALVES = (TILE_M + TILE_N) / 96u;
const TILE_K = 8u * HALVES;
// Octets of each operand's tile that a thread fills.
const A_OCTETS = TILE_M * TILE_K / 8u / THREADS;
const B_OCTETS = TILE_N * TILE_K / 8u / THREADS;

// Eight rows of op(A), or columns of op(B), for every k of a tile: what a thread multiplies. Each
// index in it is a constant there, so it costs no instruction. One more quad shifts the next
// block's memory banks, so that eight neighbouring threads read from all of them.
struct Block {
  quads: array<array<array<vec4<f32>, 2>, 8>, HALVES>,   // [k / 8][k % 8][row / 4]
  apart: vec4<f32>,
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

// The index of an octet in its binding is origin + k · stride. Rows and k beyond the last are read as
// the last: sums of such rows are not stored, and such k are zeroed.
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
  let half = at.k / 8u;
  if (transposed) {
    let k = at.k % 8u;
    blocks[block].quads[half][k][0] = octet.low;
    blocks[block].quads[half][k][1] = octet.high;
    return;
  }
  let quad = (at.row / 4u) % 2u;
  let row = at.row % 4u;
  // @unroll
  for (var i = 0u; i < 4u; i++) {
    blocks[block].quads[half][i][quad][row] = octet.low[i];
    blocks[block].quads[half][i + 4u][quad][row] = octet.high[i];
  }
}

fn a_place(thread: u32, i: u32) -> Place { return place(A_TRANSPOSED, thread + i * THREADS, TILE_M); }

fn b_place(thread: u32, i: u32) -> Place { return place(B_TRANSPOSED, thread + i * THREADS, TILE_N); }

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
  var left: array<vec4<f32>, 8>;    // [row], four columns
  var right: array<vec4<f32>, 8>;   // the next four
  // Loaded a tile ahead, so that the multiplications hide the latency.
  var a_origins: array<u32, A_OCTETS>;
  var b_origins: array<u32, B_OCTETS>;
  var a_stored: array<Stored, A_OCTETS>;
  var b_stored: array<Stored, B_OCTETS>;
  // @unroll
  for (var i = 0u; i < A_OCTETS; i++) {
    let at = a_place(thread, i);
    a_origins[i] = params.a_column_octet +
      origin(A_TRANSPOSED, m0 + at.row, params.rows, params.a_row_octets);
    a_stored[i] = load_a(a_origins[i], start + at.k);
  }
  // @unroll
  for (var i = 0u; i < B_OCTETS; i++) {
    let at = b_place(thread, i);
    b_origins[i] = params.b_column_octet +
      origin(B_TRANSPOSED, n0 + at.row, params.columns, params.b_row_octets);
    b_stored[i] = load_b(b_origins[i], start + at.k);
  }
  if (B_FORMAT == NF4) { prepare_tables(thread); }
  for (var k0 = start; k0 < end; k0 += TILE_K) {
    var a_octets: array<Octet, A_OCTETS>;
    var b_octets: array<Octet, B_OCTETS>;
    // @unroll
    for (var i = 0u; i < A_OCTETS; i++) { a_octets[i] = decoded(A_FORMAT, a_stored[i]); }
    // @unroll
    for (var i = 0u; i < B_OCTETS; i++) { b_octets[i] = decoded(B_FORMAT, b_stored[i]); }
    if (k0 + TILE_K > params.k) {
      // @unroll
      for (var i = 0u; i < A_OCTETS; i++) {
        a_octets[i] = ended(A_TRANSPOSED, a_octets[i], k0 + a_place(thread, i).k);
      }
      // @unroll
      for (var i = 0u; i < B_OCTETS; i++) {
        b_octets[i] = ended(B_TRANSPOSED, b_octets[i], k0 + b_place(thread, i).k);
      }
    }
    workgroupBarrier();
    // @unroll
    for (var i = 0u; i < A_OCTETS; i++) {
      put(A_TRANSPOSED, 0u, a_place(thread, i), a_octets[i]);
    }
    // @unroll
    for (var i = 0u; i < B_OCTETS; i++) {
      put(B_TRANSPOSED, TILE_M / 8u, b_place(thread, i), b_octets[i]);
    }
    workgroupBarrier();
    // @unroll
    for (var i = 0u; i < A_OCTETS; i++) {
      a_stored[i] = load_a(a_origins[i], k0 + TILE_K + a_place(thread, i).k);
    }
    // @unroll
    for (var i = 0u; i < B_OCTETS; i++) {
      b_stored[i] = load_b(b_origins[i], k0 + TILE_K + b_place(thread, i).k);
    }
    // @unroll
    for (var half = 0u; half < HALVES; half++) {
      // @unroll
      for (var k = 0u; k < 8u; k++) {
        let a0 = blocks[tm].quads[half][k][0];
        let a1 = blocks[tm].quads[half][k][1];
        let b0 = blocks[TILE_M / 8u + tn].quads[half][k][0];
        let b1 = blocks[TILE_M / 8u + tn].quads[half][k][1];
        // @unroll
        for (var r = 0u; r < 4u; r++) {
          left[r] = fma(vec4<f32>(a0[r]), b0, left[r]);
          right[r] = fma(vec4<f32>(a0[r]), b1, right[r]);
          left[r + 4u] = fma(vec4<f32>(a1[r]), b0, left[r + 4u]);
          right[r + 4u] = fma(vec4<f32>(a1[r]), b1, right[r + 4u]);
        }
      }
    }
  }
  let quad = n0 / 4u + 2u * tn;
  // @unroll
  for (var r = 0u; r < 8u; r++) {
    store_quad_from(params.rows * group.z, m0 + 8u * tm + r, quad, left[r]);
    store_quad_from(params.rows * group.z, m0 + 8u * tm + r, quad + 1u, right[r]);
  }
}
