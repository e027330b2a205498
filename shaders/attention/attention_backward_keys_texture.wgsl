// attention_backward_keys.wgsl for software adapters: the same equations, operands and results. See
// lib/attention_texture.wgsl for why its structure differs.
// @use bfloat16 | float32
// @use attention_texture, attention_first_keys, fours

struct Params {
  count: u32,          // units of this and all earlier dispatches
  first: u32,          // first unit of this dispatch: (sequence, four keys, key/value head)
  blocks: u32,         // quads of keys per sequence
  heads: u32,          // H
  group: u32,          // H / K
  length: u32,         // T
  first_member: u32,   // heads of a group in this dispatch
  end_member: u32,
  first_query: u32,    // queries of each in this dispatch; a multiple of four
  end_query: u32,
  accumulate: u32,     // 1 adds to dk and dv
  q_quads: u32,        // row stride of q and dout, in quads
  k_quads: u32,        // row stride of k, v, dk and dv, in quads
  q_shift: u32,        // of the textures
  k_shift: u32,
  sequence: u32,       // first sequence in all operands but delta and first_keys
  pair_stride: u32,    // row stride of delta, in pairs
  has_first_keys: u32, // 0 or 1
  scale: f32,          // 1 / sqrt(D)
}

// Queries whose products are unrolled, two up to a head size of 64: more would take many seconds to
// compile.
const TOGETHER = 2u - (HEAD_QUADS - 1u) / 16u;

@group(0) @binding(4) var<storage, read> delta: array<vec2<f32>>;         // (B·T, H) with logsumexp
@group(0) @binding(5) var<storage, read_write> dk: array<Quad>;           // (B·T, K·D)
@group(0) @binding(6) var<storage, read_write> dv: array<Quad>;           // (B·T, K·D)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let unit = params.first + id.x;
  if (unit >= params.count) { return; }
  let key_heads = params.heads / params.group;
  let key_head = unit % key_heads;
  let block = (unit / key_heads) % params.blocks;
  let base = (unit / (params.blocks * key_heads)) * params.length;

  let last = params.length - 1u;
  let key = four_rows(4u * block, last);
  let start = max(params.first_query, 4u * block);
  let rows_at = params.sequence * params.length + base;
  if (params.accumulate == 1u) {
    if (start >= params.end_query) { return; }
    if (first_key_of(rows_at + start) > key.w) { return; }
  }
  let k_y = base + key;
  let keys_at = heads_at(k_y, params.k_shift, params.k_quads, key_head);
  var dk_sums = Sums();
  var dv_sums = Sums();
  for (var member = params.first_member; member < params.end_member; member++) {
    let head = key_head * params.group + member;
    for (var first_query = start; first_query < params.end_query; first_query += 4u) {
      let columns = four_rows(first_query, last);
      let first = first_keys_of(rows_at + columns);
      if (first.x > key.w) { break; }
      let query = four_from(first_query);
      let queries_at = heads_at(base + columns, params.q_shift, params.q_quads, head);
      var s = mat4x4<f32>();    // column r: key r with the four queries
      var dp = mat4x4<f32>();
      for (var o = 0u; o < HEAD_OCTETS; o++) {
        let queries = octets(Q, queries_at, o);
        let keys = octets(K, keys_at, o);
        s += transpose(queries.low) * keys.low;
        s += transpose(queries.high) * keys.high;
        let douts = octets(DOUT, queries_at, o);
        let values = octets(V, keys_at, o);
        dp += transpose(douts.low) * values.low;
        dp += transpose(douts.high) * values.high;
      }
      let at = (rows_at + columns) * params.pair_stride + head;
      let pairs = transpose(mat4x2<f32>(delta[at.x], delta[at.y], delta[at.z], delta[at.w]));
      var p = mat4x4<f32>();
      var ds = mat4x4<f32>();
      for (var r = 0u; r < 4u; r++) {
        let seen = (query >= vec4<u32>(key[r])) & (query <= vec4<u32>(last)) &
          (first <= vec4<u32>(key[r]));
        // A masked score may exceed the query's logsumexp, and exp would overflow.
        let score = select(vec4<f32>(0.0), s[r] * params.scale - pairs[1], seen);
        p[r] = select(vec4<f32>(0.0), exp(score), seen);
        ds[r] = p[r] * (dp[r] - pairs[0]) * params.scale;
      }
      var p_rows = transpose(p);
      var ds_rows = transpose(ds);
      var next = queries_at;
      for (var c = 0u; c < 4u; c += TOGETHER) {
        // @unroll
        for (var o = 0u; o < HEAD_OCTETS; o++) {
          // Added up by themselves first: fewer roundings of the long sums.
          var dv_octet = Octets();
          var dk_octet = Octets();
          // @unroll
          for (var i = 0u; i < TOGETHER; i++) {
            let dout_octet = octet(DOUT, next.quad[i], next.y[i], o);
            dv_octet.low += outer(dout_octet.low, p_rows[i]);
            dv_octet.high += outer(dout_octet.high, p_rows[i]);
            let q_octet = octet(Q, next.quad[i], next.y[i], o);
            dk_octet.low += outer(q_octet.low, ds_rows[i]);
            dk_octet.high += outer(q_octet.high, ds_rows[i]);
          }
          dv_sums[2u * o] += dv_octet.low;
          dv_sums[2u * o + 1u] += dv_octet.high;
          dk_sums[2u * o] += dk_octet.low;
          dk_sums[2u * o + 1u] += dk_octet.high;
        }
        p_rows = rotated_columns(p_rows, TOGETHER);
        ds_rows = rotated_columns(ds_rows, TOGETHER);
        next = rotated(next, TOGETHER);
      }
    }
  }

  let rows = min(4u, params.length - 4u * block);
  for (var r = 0u; r < rows; r++) {
    // @unroll
    for (var d = 0u; d < HEAD_QUADS; d++) {
      let place = k_y[r] * params.k_quads + key_head * HEAD_QUADS + d;
      var dk_sum = row_of(dk_sums[d], r);
      var dv_sum = row_of(dv_sums[d], r);
      if (params.accumulate == 1u) {
        dk_sum += unpack(dk[place]);
        dv_sum += unpack(dv[place]);
      }
      dk[place] = pack(dk_sum);
      dv[place] = pack(dv_sum);
    }
  }
}
