// Rotary position embedding, in place                                   (Su et al. 2021, eq. 34)
//   x (B·T, heads·D); each head's halves (x1, x2) are rotated by the angle of their position:
//   x1 ← x1 · cos − x2 · sin,  x2 ← x2 · cos + x1 · sin
// Halves, not neighbours, are paired, as in Hugging Face's LLaMA (and its checkpoints). Cosines and
// sines may carry a factor (YaRN's, LongRoPE's). The backward pass is the transpose, the rotation
// the other way with the same factor, so it needs nothing saved.
// @use parts_of_eight | parts_of_four | parts_of_two_float32 | parts_of_two_bfloat16
//   A thread turns a part of each half of `together` heads: all on a processor, where loading their
// cosines and sines costs more than turning one, and one on a card.
override WORKGROUP_SIZE: u32;

struct Params {
  threads: u32,
  row: u32,          // first row of this range, in the whole tensor
  length: u32,       // T
  offset: u32,       // position of the first token of a sequence
  row_threads: u32,
  together: u32,     // heads of a thread
  heads: u32,
  parts: u32,        // row stride, in parts
  head_parts: u32,   // D, in parts
  table_parts: u32,  // row stride of the table, in parts
  direction: f32,    // 1 forward, −1 backward
}

@group(0) @binding(0) var<storage, read_write> x: array<Part>;       // (B·T, heads·D)
@group(0) @binding(1) var<storage, read> table: array<Values>;       // (Tmax, D): cosines, sines
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  // First of all: a processor loads a parameter once for all threads only outside of branches.
  let p = params;
  if (id.x >= p.threads) { return; }
  let half = p.head_parts / 2u;
  let row = id.x / p.row_threads;
  let in_row = id.x - row * p.row_threads;
  let first_head = in_row / half * p.together;
  let i = in_row % half;
  let position = (p.row + row) % p.length + p.offset;
  let cosine = table[position * p.table_parts + i];
  let sine = table[position * p.table_parts + half + i] * p.direction;
  for (var head = first_head; head < min(first_head + p.together, p.heads); head++) {
    let first = row * p.parts + head * p.head_parts + i;
    let x1 = unpack_part(x[first]);
    let x2 = unpack_part(x[first + half]);
    x[first] = pack_part(product(x1, cosine) - product(x2, sine));
    x[first + half] = pack_part(product(x2, cosine) + product(x1, sine));
  }
}
