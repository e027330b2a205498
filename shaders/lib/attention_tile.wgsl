// Shared by the attention kernels for cards. A workgroup owns a block of rows (queries, or keys in
// the backward pass over keys) of one head and loops over blocks of 64 columns. Its threads form a
// grid of ROW_LANES × LANES; each computes ROWS rows × 4 columns of a product over the head, and
// ROWS rows × OUT_QUADS quads of the head of a product over columns. Operands come from workgroup
// memory, a vec4 a load, and each serves all rows or columns of the thread.
//   Rows of a thread are ROW_LANES apart and columns LANES apart, so that only the lane, which is
// the same throughout, is a variable index: the rest are constants, which cost no address.
// @use bfloat16 | float32
// @use fours
// @const HEAD_QUADS   D / 4
// @const ROWS         rows of a thread: 2, 4 or 8
// @const ROW_LANES    8 or 16
const LANES = 16u;
const THREADS = ROW_LANES * LANES;
const BLOCK_ROWS = ROWS * ROW_LANES;
const BLOCK_COLUMNS = 4u * LANES;
const CHUNK = 8u;   // quads of a row that workgroup memory holds
const OUT_QUADS = (HEAD_QUADS + LANES - 1u) / LANES;
const STEP = CHUNK / OUT_QUADS;   // columns, by fours, of which it holds all quads

// How the threads fill the tiles: each writes the same quad of ROW_FILLS rows or COLUMN_FILLS columns.
const ROW_FILLS = BLOCK_ROWS * CHUNK / THREADS;
const COLUMN_FILLS = BLOCK_COLUMNS * CHUNK / THREADS;

// Row ROW_LANES · r + lane lies at [r / ROW_FILLS][r % ROW_FILLS][lane], columns likewise.
// 16 KiB at most: what every adapter has.
alias Quads = array<vec4<f32>, CHUNK>;
var<workgroup> row_tile: array<array<array<Quads, ROW_LANES>, ROW_FILLS>, 2>;
var<workgroup> column_tile: array<array<array<Quads, LANES>, COLUMN_FILLS>, 4u / COLUMN_FILLS>;

// Where element `at` of a lane's eight lies: neighbouring lanes must not meet in one bank.
fn place(at: u32, lane: u32) -> u32 {
  return at ^ (lane % CHUNK);
}

alias Scores = array<vec4<f32>, ROWS>;                   // of a thread's rows with its four columns
alias Sums = array<array<vec4<f32>, OUT_QUADS>, ROWS>;   // quads lane + LANES · i of its rows
const GROUPS = (ROWS + 3u) / 4u;
alias Statistics = array<vec4<f32>, GROUPS>;             // a number for each of its rows

// A thread writes quad thread % CHUNK of the rows from filled_row on.
fn filled_row(thread: u32) -> u32 {
  return thread / CHUNK % ROW_LANES + thread / (CHUNK * ROW_LANES) * ROW_LANES * ROW_FILLS;
}

fn put_row(i: u32, thread: u32, quad: vec4<f32>) {
  let lane = thread / CHUNK % ROW_LANES;
  row_tile[thread / (CHUNK * ROW_LANES)][i][lane][place(thread % CHUNK, lane)] = quad;
}

// For add_products, quad thread % CHUNK of the columns from filled_column on.
fn filled_column(thread: u32) -> u32 {
  return thread / CHUNK % LANES + thread / (CHUNK * LANES) * LANES * COLUMN_FILLS;
}

fn put_column(i: u32, thread: u32, quad: vec4<f32>) {
  let lane = thread / CHUNK % LANES;
  column_tile[thread / (CHUNK * LANES)][i][lane][place(thread % CHUNK, lane)] = quad;
}

// For add_weighted, quad value_quad of the columns from value_column on.
fn value_column(thread: u32) -> u32 {
  return thread / LANES % CHUNK % STEP + thread / (CHUNK * LANES) * LANES * COLUMN_FILLS;
}

fn value_quad(thread: u32) -> u32 {
  return min(thread % LANES + thread / LANES % CHUNK / STEP * LANES, HEAD_QUADS - 1u);
}

fn put_value(i: u32, thread: u32, quad: vec4<f32>) {
  let lane = thread % LANES;
  column_tile[thread / (CHUNK * LANES)][i][lane][place(thread / LANES % CHUNK, lane)] = quad;
}

// One quad of each of a thread's four columns.
fn column_quads(lane: u32, at: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    column_tile[0][0][lane][at],
    column_tile[1u / COLUMN_FILLS][1u % COLUMN_FILLS][lane][at],
    column_tile[2u / COLUMN_FILLS][2u % COLUMN_FILLS][lane][at],
    column_tile[3u / COLUMN_FILLS][3u % COLUMN_FILLS][lane][at],
  );
}

// s += rows · columnsᵀ, over the first quads of the tiles
fn add_products(s: ptr<function, Scores>, row_lane: u32, lane: u32, quads: u32) {
  for (var d = 0u; d < quads; d++) {
    let row_at = place(d, row_lane);
    let at = place(d, lane);
    let columns = transpose(column_quads(lane, at));
    // @unroll
    for (var r = 0u; r < ROWS; r++) {
      let row = row_tile[r / ROW_FILLS][r % ROW_FILLS][row_lane][row_at];
      (*s)[r] = fma(vec4<f32>(row.x), columns[0], (*s)[r]);
      (*s)[r] = fma(vec4<f32>(row.y), columns[1], (*s)[r]);
      (*s)[r] = fma(vec4<f32>(row.z), columns[2], (*s)[r]);
      (*s)[r] = fma(vec4<f32>(row.w), columns[3], (*s)[r]);
    }
  }
}

// Writes numbers that belong to columns lane + LANES · c, for add_weighted: half of the lanes.
fn put_weights(s: ptr<function, Scores>, row_lane: u32, lane: u32, first: u32) {
  if (lane / CHUNK != first / CHUNK) { return; }
  let at = place(lane % CHUNK, row_lane);
  // @unroll
  for (var r = 0u; r < ROWS; r++) { row_tile[r / ROW_FILLS][r % ROW_FILLS][row_lane][at] = (*s)[r]; }
}

// sums += weights · values, over STEP columns of each of the four from `first` on
fn add_weighted(sums: ptr<function, Sums>, row_lane: u32, lane: u32, first: u32) {
  for (var j = 0u; j < STEP; j++) {
    let row_at = place(first % CHUNK + j, row_lane);
    // The side that takes fewer registers is held in them.
    if (OUT_QUADS == 1u) {
      let at = place(j, lane);
      let values = column_quads(lane, at);
      // @unroll
      for (var r = 0u; r < ROWS; r++) {
        let weights = row_tile[r / ROW_FILLS][r % ROW_FILLS][row_lane][row_at];
        // @unroll
        for (var c = 0u; c < 4u; c++) {
          (*sums)[r][0] = fma(vec4<f32>(weights[c]), values[c], (*sums)[r][0]);
        }
      }
    } else {
      var weights: array<vec4<f32>, ROWS>;
      // @unroll
      for (var r = 0u; r < ROWS; r++) {
        weights[r] = row_tile[r / ROW_FILLS][r % ROW_FILLS][row_lane][row_at];
      }
      // @unroll
      for (var i = 0u; i < OUT_QUADS; i++) {
        let at = place(STEP * i + j, lane);
        // @unroll
        for (var c = 0u; c < 4u; c++) {
          let value = column_tile[c / COLUMN_FILLS][c % COLUMN_FILLS][lane][at];
          // @unroll
          for (var r = 0u; r < ROWS; r++) {
            (*sums)[r][i] = fma(vec4<f32>(weights[r][c]), value, (*sums)[r][i]);
          }
        }
      }
    }
  }
}

@group(0) @binding(0) var<storage, read> q: array<Quad>;   // (B·Tq, H·D)
@group(0) @binding(1) var<storage, read> k: array<Quad>;   // (B·keyCapacity, K·D)
@group(0) @binding(2) var<storage, read> v: array<Quad>;   // (B·keyCapacity, K·D)
