// Rotary position embedding of new tokens, whose keys and values enter a cache:
//   q (N, H·D) is turned in place; cached_k[offset + n] = turned k[n], cached_v[offset + n] = v[n]
// The equations are those of rope.wgsl. One dispatch instead of two and two copies: decoding waits
// for the processor that records them.
// @use parts_of_four | parts_of_two_float32 | parts_of_two_bfloat16
override WORKGROUP_SIZE: u32;

struct Params {
  count: u32,        // threads: N · (H + K) · parts of half a head
  offset: u32,       // position of the first token
  first_row: u32,    // of the cache in this range
  rows: u32,         // of the cache in this range
  head_parts: u32,   // D, in parts
  heads: u32,        // H
  all_heads: u32,    // H + K
  q_parts: u32,      // row strides, in parts
  k_parts: u32,
  table_parts: u32,
}

@group(0) @binding(0) var<storage, read_write> q: array<Part>;          // (N, H·D)
@group(0) @binding(1) var<storage, read> k: array<Part>;                // (N, K·D)
@group(0) @binding(2) var<storage, read> v: array<Part>;                // (N, K·D)
@group(0) @binding(3) var<storage, read> table: array<Values>;          // (Tmax, D): cosines, sines
@group(0) @binding(4) var<storage, read_write> cached_k: array<Part>;   // (capacity, K·D)
@group(0) @binding(5) var<storage, read_write> cached_v: array<Part>;   // (capacity, K·D)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.count) { return; }
  let half = params.head_parts / 2u;
  let i = id.x % half;
  let head = (id.x / half) % params.all_heads;
  let row = id.x / (half * params.all_heads);
  let position = params.offset + row;
  let place = position - params.first_row;   // rows before the range wrap around
  if (place >= params.rows) { return; }
  let cosine = table[position * params.table_parts + i];
  let sine = table[position * params.table_parts + half + i];
  if (head < params.heads) {
    let first = row * params.q_parts + head * params.head_parts + i;
    let x1 = unpack_part(q[first]);
    let x2 = unpack_part(q[first + half]);
    q[first] = pack_part(x1 * cosine - x2 * sine);
    q[first + half] = pack_part(x2 * cosine + x1 * sine);
    return;
  }
  let column = (head - params.heads) * params.head_parts + i;
  let first = row * params.k_parts + column;
  let to = place * params.k_parts + column;
  let x1 = unpack_part(k[first]);
  let x2 = unpack_part(k[first + half]);
  cached_k[to] = pack_part(x1 * cosine - x2 * sine);
  cached_k[to + half] = pack_part(x2 * cosine + x1 * sine);
  cached_v[to] = v[first];
  cached_v[to + half] = v[first + half];
}
