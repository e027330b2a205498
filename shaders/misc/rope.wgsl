// Rotary position embedding, in place                                   (Su et al. 2021, eq. 34)
//   x (B·T, heads·D); each head's halves (x1, x2) are rotated by the angle of their position:
//   x1 ← x1 · cos − x2 · sin,  x2 ← x2 · cos + x1 · sin
// Halves, not neighbours, are paired, as in Hugging Face's LLaMA (and its checkpoints). Cosines and
// sines may carry a factor (YaRN's, LongRoPE's). The backward pass is the transpose, the rotation
// the other way with the same factor, so it needs nothing saved.
// @use parts_of_eight | parts_of_four | parts_of_two_float32 | parts_of_two_bfloat16
override TILE: u32;

struct Params {
  rows: u32,        // of this range
  row: u32,         // first row of this range, in the whole tensor
  length: u32,      // T
  offset: u32,      // position of the first token of a sequence
  row_halves: u32,  // parts in the half heads of a row; the rest is padding
  parts: u32,       // row stride, in parts
  head_parts: u32,  // D, in parts
  table_parts: u32, // row stride of the table, in parts
  direction: f32,   // 1 forward, −1 backward
}

@group(0) @binding(0) var<storage, read_write> x: array<Part>;       // (B·T, heads·D)
@group(0) @binding(1) var<storage, read> table: array<Values>;       // (Tmax, D): cosines, sines
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  // First of all: a processor loads a parameter once for all threads only outside of branches.
  let p = params;
  if (id.x >= p.row_halves || id.y >= p.rows) { return; }
  let half = p.head_parts / 2u;
  let head = id.x / half;
  let i = id.x - head * half;
  let first = id.y * p.parts + head * p.head_parts + i;
  let position = (p.row + id.y) % p.length + p.offset;
  let cosine = table[position * p.table_parts + i];
  let sine = table[position * p.table_parts + half + i] * p.direction;
  let x1 = unpack_part(x[first]);
  let x2 = unpack_part(x[first + half]);
  x[first] = pack_part(product(x1, cosine) - product(x2, sine));
  x[first + half] = pack_part(product(x2, cosine) + product(x1, sine));
}
