// c = alpha · op(A) · op(B) [+ c] [+ residual],  op(A) (M, K), op(B) (K, N), read where they lie.
// For graphics cards: a workgroup computes a tile of c, 16 k at a time through workgroup memory, a
// thread 8 x 8 of its sums: a quarter of a 32-bit load from workgroup memory per multiply-add.
// Operands are dequantised as tiles are filled.
//   A is (M, K) and B is (N, K), the k-major case, unless their flags are set.
// Every tile sums the same products in the same order, so all give the same bits.
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
}

@group(1) @binding(0) var<uniform> params: Params;

const TILE_K = 16u;
const THREADS = TILE_M * TILE_N / 64u;
// Octets of each operand's tile that a thread fills.
const A_OCTETS = TILE_M * TILE_K / 8u / THREADS;
const B_OCTETS = TILE_N * TILE_K / 8u / THREADS;

// Eight rows of op(A), or columns of op(B), for every k of a tile: what a thread multiplies. Each
// index in it is a constant there, so it costs no instruction. One more quad shifts the next
// block's memory banks, so that eight neighbouring threads read from all of them.
struct Block {
  quads: array<array<array<vec4<f32>, 2>, 8>, 2>,   // [k / 8][k % 8][row / 4]
  apart: vec4<f32>,
}

var<workgroup> blocks: array<Block, (TILE_M + TILE_N) / 8u>;   // of A, then of B

// Where an octet of an operand's tile lies in the tile: `along` octets of 8 k and `block`s of eight
// rows if k-major, else eight rows at one k.
struct Place {
  row: u32,   // the first of eight if transposed
  k: u32,     // the first of eight unless transposed
}

fn place(transposed: bool, octet: u32, tile_rows: u32) -> Place {
  if (transposed) { return Place(8u * (octet % (tile_rows / 8u)), octet / (tile_rows / 8u)); }
  return Place(octet / 2u, 8u * (octet % 2u));
}

// The octet's index in its binding. Beyond the last row or k it is another one's: sums of such rows
// are not stored, and such k are zeroed.
fn source(transposed: bool, row: u32, rows: u32, k: u32, row_octets: u32) -> u32 {
  if (transposed) { return min(k, params.k - 1u) * row_octets + min(row, rows - 1u) / 8u; }
  return min(row, rows - 1u) * row_octets + min(k, params.k - 1u) / 8u;
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

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let m0 = TILE_M * group.y;
  let n0 = TILE_N * group.x;
  // Eight by four threads are neighbours: they read few addresses, and write whole cache lines.
  let tm = (thread / 8u) % (TILE_M / 8u);
  let tn = thread % 8u + 8u * (thread / TILE_M);
  var left: array<vec4<f32>, 8>;    // [row], four columns
  var right: array<vec4<f32>, 8>;   // the next four
  for (var k0 = 0u; k0 < params.k; k0 += TILE_K) {
    // Loaded before the barrier, while other threads still multiply.
    var a_octets: array<Octet, A_OCTETS>;
    var b_octets: array<Octet, B_OCTETS>;
    // @unroll
    for (var i = 0u; i < A_OCTETS; i++) {
      let at = place(A_TRANSPOSED, thread + i * THREADS, TILE_M);
      let index = source(A_TRANSPOSED, m0 + at.row, params.rows, k0 + at.k, params.a_row_octets);
      a_octets[i] = decoded(A_FORMAT, stored_a(params.a_column_octet + index));
    }
    // @unroll
    for (var i = 0u; i < B_OCTETS; i++) {
      let at = place(B_TRANSPOSED, thread + i * THREADS, TILE_N);
      let index = source(B_TRANSPOSED, n0 + at.row, params.columns, k0 + at.k, params.b_row_octets);
      b_octets[i] = decoded(B_FORMAT, stored_b(params.b_column_octet + index));
    }
    if (k0 + TILE_K > params.k) {
      // @unroll
      for (var i = 0u; i < A_OCTETS; i++) {
        let k = k0 + place(A_TRANSPOSED, thread + i * THREADS, TILE_M).k;
        a_octets[i] = ended(A_TRANSPOSED, a_octets[i], k);
      }
      // @unroll
      for (var i = 0u; i < B_OCTETS; i++) {
        let k = k0 + place(B_TRANSPOSED, thread + i * THREADS, TILE_N).k;
        b_octets[i] = ended(B_TRANSPOSED, b_octets[i], k);
      }
    }
    workgroupBarrier();
    // @unroll
    for (var i = 0u; i < A_OCTETS; i++) {
      put(A_TRANSPOSED, 0u, place(A_TRANSPOSED, thread + i * THREADS, TILE_M), a_octets[i]);
    }
    // @unroll
    for (var i = 0u; i < B_OCTETS; i++) {
      put(B_TRANSPOSED, TILE_M / 8u, place(B_TRANSPOSED, thread + i * THREADS, TILE_N), b_octets[i]);
    }
    workgroupBarrier();
    // @unroll
    for (var half = 0u; half < 2u; half++) {
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
    store_quad(m0 + 8u * tm + r, quad, left[r]);
    store_quad(m0 + 8u * tm + r, quad + 1u, right[r]);
  }
}
