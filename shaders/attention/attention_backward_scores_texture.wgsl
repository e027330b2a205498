// The blocks of p or ds of attention_backward_keys.wgsl that are not masked, for software adapters.
// There it pays to compute them once and keep them, where two kernels for dq and for dk and dv would
// compute them twice. See lib/attention_texture.wgsl for more.
//   p  = exp(q · kᵀ / sqrt(D) − logsumexp), zero where masked
//   ds = p · (dout · vᵀ − delta) / sqrt(D)
// @use bfloat16 | float32
// @use attention_texture, attention_pairs, attention_first_keys, fours

struct Params {
  count: u32,          // units of this and all earlier dispatches
  first: u32,          // first unit of this dispatch: (keys, eight queries, key/value head, member)
  heads: u32,          // H
  group: u32,          // H / K
  length: u32,         // T
  first_key_head: u32, // heads in this dispatch, as lib/attention_pairs.wgsl has it
  key_heads: u32,
  first_member: u32,
  members: u32,
  first_query: u32,    // a multiple of eight
  end_query: u32,
  q_quads: u32,        // row stride of q and dout, in quads
  k_quads: u32,        // row stride of k and v, in quads
  q_shift: u32,        // of the textures
  k_shift: u32,
  sequence: u32,       // first sequence in delta and first_keys
  pair_stride: u32,    // row stride of delta, in pairs
  has_first_keys: u32, // 0 or 1
  scale: f32,          // 1 / sqrt(D)
}

override GRADIENT: bool;   // ds, from dout and v, instead of p, from q and k

@group(0) @binding(0) var left: texture_storage_2d<rgba32uint, read>;        // q or dout (B·T, H·D)
@group(0) @binding(1) var right: texture_storage_2d<rgba32uint, read>;       // k or v (B·T, K·D)
@group(0) @binding(2) var p: texture_storage_2d<rgba32float, read>;          // for ds only
@group(0) @binding(3) var scores: texture_storage_2d<rgba32float, write>;    // p or ds
@group(0) @binding(4) var<storage, read> delta: array<vec2<f32>>;            // (B·T, H) with logsumexp
@group(1) @binding(0) var<uniform> params: Params;

const LEFT = 0u;
const RIGHT = 1u;

fn texel(operand: u32, at: vec2<u32>) -> vec4<u32> {
  if (operand == LEFT) { return textureLoad(left, at); }
  return textureLoad(right, at);
}

// Of four queries and the head.
struct Queries {
  index: vec4<u32>,
  first: vec4<u32>,
  statistic: vec4<f32>,   // logsumexp or delta
  y: u32,                 // the row of texels of their scores
}

fn queries_from(query: u32, y: u32, base: u32, head: u32) -> Queries {
  let row = params.sequence * params.length + base + four_rows(query, params.length - 1u);
  let at = row * params.pair_stride + head;
  let pairs = transpose(mat4x2<f32>(delta[at.x], delta[at.y], delta[at.z], delta[at.w]));
  return Queries(four_from(query), first_keys_of(row), pairs[select(1u, 0u, GRADIENT)], y);
}

// One key's scores of four queries.
fn store(queries: Queries, key: u32, sums: vec4<f32>) {
  let at = vec2<u32>(key, queries.y);
  if (GRADIENT) {
    textureStore(scores, at, textureLoad(p, at) * (sums - queries.statistic) * params.scale);
    return;
  }
  let seen = (queries.index >= vec4<u32>(key)) &
    (queries.index < vec4<u32>(params.length)) & (queries.first <= vec4<u32>(key));
  // A masked score may exceed the query's logsumexp, and exp would overflow.
  let score = select(vec4<f32>(0.0), sums * params.scale - queries.statistic, seen);
  textureStore(scores, at, select(vec4<f32>(0.0), exp(score), seen));
}

fn store_four(queries: Queries, key: u32, sums: mat4x4<f32>) {
  store(queries, key, sums[0]);
  store(queries, key + 1u, sums[1]);
  store(queries, key + 2u, sums[2]);
  store(queries, key + 3u, sums[3]);
}

// Most keys of a thread: of long sequences the textures hold few queries.
const THREAD_KEYS = 1024u;

// A thread takes eight queries of a head and, of so many keys, those that they see, eight at a time.
@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let unit = params.first + id.x;
  if (unit >= params.count) { return; }
  let pairs = params.key_heads * params.members;
  let at = pair_at(unit % pairs);
  let blocks = (params.end_query - params.first_query + 7u) / 8u;
  let block = unit / pairs % blocks;
  let first_key = unit / pairs / blocks * THREAD_KEYS;

  let last = params.length - 1u;
  let query = params.first_query + 8u * block;
  let y = scores_of(unit % pairs) + 2u * block;
  let low = queries_from(query, y, at.base, at.head);
  let high = queries_from(query + 4u, y + 1u, at.base, at.head);
  let low_at =
    heads_at(at.base + four_rows(query, last), params.q_shift, params.q_quads, at.head);
  let high_at =
    heads_at(at.base + four_rows(query + 4u, last), params.q_shift, params.q_quads, at.head);
  let end = min(min(query + 8u, params.length), first_key + THREAD_KEYS);
  for (var key = max(low.first.x / 8u * 8u, first_key); key < end; key += 8u) {
    let keys_at =
      heads_at(at.base + four_rows(key, last), params.k_shift, params.k_quads, at.key_head);
    let more_at =
      heads_at(at.base + four_rows(key + 4u, last), params.k_shift, params.k_quads, at.key_head);
    // Column c: a key's sums of four queries.
    var s00 = mat4x4<f32>();
    var s01 = mat4x4<f32>();
    var s10 = mat4x4<f32>();
    var s11 = mat4x4<f32>();
    for (var o = 0u; o < HEAD_OCTETS; o++) {
      let a = octets(LEFT, low_at, o);
      let b = octets(LEFT, high_at, o);
      let c = octets(RIGHT, keys_at, o);
      s00 += transpose(a.low) * c.low;
      s00 += transpose(a.high) * c.high;
      s10 += transpose(b.low) * c.low;
      s10 += transpose(b.high) * c.high;
      let d = octets(RIGHT, more_at, o);
      s01 += transpose(a.low) * d.low;
      s01 += transpose(a.high) * d.high;
      s11 += transpose(b.low) * d.low;
      s11 += transpose(b.high) * d.high;
    }
    store_four(low, key, s00);
    store_four(low, key + 4u, s01);
    store_four(high, key, s10);
    store_four(high, key + 4u, s11);
  }
}
