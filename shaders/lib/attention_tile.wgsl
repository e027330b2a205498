// Geometry that the attention kernels share. A workgroup owns a block of rows (queries, or keys in
// the backward pass over keys) and walks over blocks of columns. Its threads form a grid of
// ROW_LANES × COLUMN_LANES; in a product over the head size a thread makes a tile of ROW_TILE rows
// × COLUMN_TILE columns in registers, so that each element it loads serves several products; in a
// product over columns it makes ROW_TILE rows × OUT_QUADS quads of the head.
// Prepended by attention_tile.ts: HEAD_QUADS = D / 4, ROW_LANES, COLUMN_LANES, ROW_TILE,
// COLUMN_QUADS.
const COLUMN_TILE = 4u * COLUMN_QUADS;
const BLOCK_ROWS = ROW_LANES * ROW_TILE;
const BLOCK_COLUMNS = COLUMN_LANES * COLUMN_TILE;
const OUT_QUADS = (HEAD_QUADS + COLUMN_LANES - 1u) / COLUMN_LANES;
const WORKGROUP_SIZE = ROW_LANES * COLUMN_LANES;

// A block of probabilities, or of their gradients, that the threads hand to one another: rows of
// BLOCK_COLUMNS in fours, and one four of padding against bank conflicts.
const BLOCK_STRIDE = BLOCK_COLUMNS / 4u + 1u;
alias Block = array<vec4<f32>, BLOCK_ROWS * BLOCK_STRIDE>;

// A thread's tile: ROW_TILE rows of COLUMN_QUADS fours.
alias Tile = array<vec4<f32>, ROW_TILE * COLUMN_QUADS>;

const LOWEST = -3.4e38;
