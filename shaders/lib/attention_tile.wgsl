// Shared by the attention kernels for cards. A workgroup owns a block of 32 rows (queries, or keys
// in the backward pass over keys) of one head and loops over blocks of 32 columns. Its 64 threads
// form a grid of LANES × LANES. In a product over the head a thread computes a tile of 4 rows × 4
// columns in registers, so that each loaded element serves four products; in a product over columns
// it computes 4 rows × OUT_QUADS quads of the head. The blocks fit registers at D = 128 and 16 KiB
// of workgroup memory, and waste little on the masked half of short sequences.
// @use bfloat16 | float32
// @use fours
// @const HEAD_QUADS   D / 4
const LANES = 8u;
const BLOCK = 4u * LANES;
const OUT_QUADS = (HEAD_QUADS + LANES - 1u) / LANES;
const WORKGROUP_SIZE = LANES * LANES;

// A block of probabilities or their gradients, exchanged between threads: rows of BLOCK columns as
// quads, plus one quad of padding against bank conflicts.
const BLOCK_STRIDE = LANES + 1u;
alias Block = array<vec4<f32>, BLOCK * BLOCK_STRIDE>;

// Sums of four rows: column r of matrix i holds quad lane + LANES · i of row r's head.
alias Rows = array<mat4x4<f32>, OUT_QUADS>;

// A thread's four rows are LANES apart, its four columns adjacent; all are clamped to the last.
fn rows_of(first: u32, lane: u32, last: u32) -> vec4<u32> {
  let apart = vec4<u32>(0u, LANES, 2u * LANES, 3u * LANES);
  return min(vec4<u32>(first + lane) + apart, vec4<u32>(last));
}

fn next_four(first: u32, last: u32) -> vec4<u32> {
  return min(four_from(first), vec4<u32>(last));
}

@group(0) @binding(0) var<storage, read> q: array<Quad>;   // (B·Tq, H·D)
@group(0) @binding(1) var<storage, read> k: array<Quad>;   // (B·keyCapacity, K·D)
@group(0) @binding(2) var<storage, read> v: array<Quad>;   // (B·keyCapacity, K·D)

// One quad of each of four rows, a row per matrix column.
fn load_q(at: vec4<u32>, d: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    unpack(q[at.x + d]), unpack(q[at.y + d]), unpack(q[at.z + d]), unpack(q[at.w + d]),
  );
}

fn load_k(at: vec4<u32>, d: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    unpack(k[at.x + d]), unpack(k[at.y + d]), unpack(k[at.z + d]), unpack(k[at.w + d]),
  );
}

fn load_v(at: vec4<u32>, d: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    unpack(v[at.x + d]), unpack(v[at.y + d]), unpack(v[at.z + d]), unpack(v[at.w + d]),
  );
}
