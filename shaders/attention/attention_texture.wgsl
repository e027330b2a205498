// attention.wgsl for software adapters: the same equations, operands and results. See
// lib/attention_texture.wgsl for why its structure differs.
// @use bfloat16 | float32
// @use attention_texture, attention_first_keys, fours

struct Params {
  count: u32,          // units of this and all earlier dispatches
  first: u32,          // first unit of this dispatch: (sequence, four queries, head)
  blocks: u32,         // quads of queries per sequence
  heads: u32,          // H
  group: u32,          // H / K
  query_length: u32,   // Tq
  key_length: u32,
  first_key: u32,      // keys in this dispatch; a multiple of four
  end_key: u32,
  q_quads: u32,        // row stride of q and out, in quads
  k_quads: u32,        // row stride of k and v, in quads
  q_shift: u32,        // of the textures
  k_shift: u32,
  sequence: u32,       // first sequence of the textures and of out
  lse_stride: u32,
  has_first_keys: u32, // 0 or 1
  scale: f32,          // 1 / sqrt(D)
}

@group(0) @binding(0) var q: texture_storage_2d<rgba32uint, read>;        // (B·Tq, H·D)
@group(0) @binding(1) var k: texture_storage_2d<rgba32uint, read>;        // (B·keyLength, K·D)
@group(0) @binding(2) var v: texture_storage_2d<rgba32uint, read>;        // (B·keyLength, K·D)
@group(0) @binding(3) var<storage, read_write> out: array<Quad>;          // (B·Tq, H·D)
@group(0) @binding(4) var<storage, read_write> logsumexp: array<f32>;     // (B·Tq, H)
@group(1) @binding(0) var<uniform> params: Params;

const Q = 0u;
const K = 1u;
const V = 2u;

fn texel(operand: u32, at: vec2<u32>) -> vec4<u32> {
  if (operand == Q) { return textureLoad(q, at); }
  if (operand == K) { return textureLoad(k, at); }
  return textureLoad(v, at);
}

// Scores of four keys from `key` on, masked outside `first` to `last`.
fn masked(s: vec4<f32>, key: u32, first: u32, last: u32) -> vec4<f32> {
  let keys = four_from(key);
  let seen = (keys >= vec4<u32>(first)) & (keys <= vec4<u32>(last));
  return select(vec4<f32>(LOWEST), s * params.scale, seen);
}

fn scaled(m: mat4x4<f32>, factors: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(
    m[0] * factors.x, m[1] * factors.y, m[2] * factors.z, m[3] * factors.w,
  );
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let unit = params.first + id.x;
  if (unit >= params.count) { return; }
  let head = unit % params.heads;
  let block = (unit / params.heads) % params.blocks;
  let sequence = unit / (params.blocks * params.heads);

  let query = four_rows(4u * block, params.query_length - 1u);
  let q_y = sequence * params.query_length + query;
  let queries_at = heads_at(q_y, params.q_shift, params.q_quads, head);
  let key_head = head / params.group;
  let rows_at = params.sequence * params.query_length + q_y;
  let first = first_keys_of(rows_at);   // first and last visible key of each row
  let visible = query + (params.key_length - params.query_length);
  let lowest = first.x / 4u * 4u;
  let start = max(params.first_key, lowest);
  let end = min(params.end_key, visible.w + 1u);
  if (start >= end) { return; }
  let continues = params.first_key > lowest;   // an earlier dispatch has processed some keys

  var maximum = vec4<f32>(LOWEST);
  var total = vec4<f32>(0.0);
  var sums = Sums();
  for (var key = start; key < end; key += 4u) {
    let k_y = sequence * params.key_length + four_rows(key, params.key_length - 1u);
    let keys_at = heads_at(k_y, params.k_shift, params.k_quads, key_head);
    var s = mat4x4<f32>();   // column r: the scores of row r with the four keys
    for (var o = 0u; o < HEAD_OCTETS; o++) {
      let queries = octets(Q, queries_at, o);
      let keys = octets(K, keys_at, o);
      s += transpose(keys.low) * queries.low;
      s += transpose(keys.high) * queries.high;
    }
    s[0] = masked(s[0], key, first.x, visible.x);
    s[1] = masked(s[1], key, first.y, visible.y);
    s[2] = masked(s[2], key, first.z, visible.z);
    s[3] = masked(s[3], key, first.w, visible.w);
    let now = max(maximum, largest_of_each(s));
    let shrink = exp(maximum - now);
    maximum = now;
    let p = mat4x4<f32>(
      exp(s[0] - now.x), exp(s[1] - now.y), exp(s[2] - now.z), exp(s[3] - now.w),
    );
    total = total * shrink + vec4<f32>(1.0) * p;
    // @unroll
    for (var o = 0u; o < HEAD_OCTETS; o++) {
      let values = octets(V, keys_at, o);
      sums[2u * o] = scaled(sums[2u * o], shrink) + values.low * p;
      sums[2u * o + 1u] = scaled(sums[2u * o + 1u], shrink) + values.high * p;
    }
  }

  let at = rows_at * params.lse_stride + head;
  var shrink = vec4<f32>(1.0);
  var before = vec4<f32>(0.0);   // weight of the earlier keys
  if (continues) {
    let old = vec4<f32>(logsumexp[at.x], logsumexp[at.y], logsumexp[at.z], logsumexp[at.w]);
    let now = max(maximum, old);
    shrink = exp(maximum - now);
    before = exp(old - now);
    maximum = now;
    total = total * shrink + before;
  }
  let rows = min(4u, params.query_length - 4u * block);
  for (var r = 0u; r < rows; r++) {
    logsumexp[at[r]] = maximum[r] + log(total[r]);
    // @unroll
    for (var d = 0u; d < HEAD_QUADS; d++) {
      let place = q_y[r] * params.q_quads + head * HEAD_QUADS + d;
      var sum = row_of(sums[d], r) * shrink[r];
      if (continues) { sum += unpack(out[place]) * before[r]; }
      out[place] = pack(sum / total[r]);
    }
  }
}
