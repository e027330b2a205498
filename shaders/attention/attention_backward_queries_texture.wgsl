// attention_backward_queries.wgsl for software adapters: the same equations, operands and results.
// See lib/attention_texture.wgsl for why its structure differs.
// @use bfloat16 | float32
// @use attention_texture, attention_first_keys, fours

struct Params {
  count: u32,          // units of this and all earlier dispatches
  first: u32,          // first unit of this dispatch: (sequence, four queries, head)
  blocks: u32,         // quads of queries per sequence
  heads: u32,          // H
  group: u32,          // H / K
  length: u32,         // T
  first_key: u32,      // keys in this dispatch; a multiple of four
  end_key: u32,
  q_quads: u32,        // row stride of q, dout and dq, in quads
  k_quads: u32,        // row stride of k and v, in quads
  q_shift: u32,        // of the textures
  k_shift: u32,
  sequence: u32,       // first sequence in all operands but delta and first_keys
  pair_stride: u32,    // row stride of delta, in pairs
  has_first_keys: u32, // 0 or 1
  scale: f32,          // 1 / sqrt(D)
}

@group(0) @binding(4) var<storage, read> delta: array<vec2<f32>>;         // (B·T, H) with logsumexp
@group(0) @binding(5) var<storage, read_write> dq: array<Quad>;           // (B·T, H·D)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let unit = params.first + id.x;
  if (unit >= params.count) { return; }
  let head = unit % params.heads;
  let block = (unit / params.heads) % params.blocks;
  let base = (unit / (params.blocks * params.heads)) * params.length;

  let last = params.length - 1u;
  let query = four_rows(4u * block, last);
  let q_y = base + query;
  let rows_at = params.sequence * params.length + q_y;
  let first = first_keys_of(rows_at);
  let lowest = first.x / 4u * 4u;
  let start = max(params.first_key, lowest);
  let end = min(params.end_key, query.w + 1u);
  if (start >= end) { return; }
  let queries_at = heads_at(q_y, params.q_shift, params.q_quads, head);
  let key_head = head / params.group;
  let rows = min(4u, params.length - 4u * block);
  var lse = vec4<f32>(0.0);
  var row_delta = vec4<f32>(0.0);
  for (var r = 0u; r < 4u; r++) {
    let pair = delta[rows_at[r] * params.pair_stride + head];
    row_delta[r] = pair.x;
    lse[r] = pair.y;
  }

  var sums = Sums();
  for (var first_key = start; first_key < end; first_key += 4u) {
    let key = four_from(first_key);
    let k_y = base + four_rows(first_key, last);
    let keys_at = heads_at(k_y, params.k_shift, params.k_quads, key_head);
    var s = mat4x4<f32>();    // column r: row r with the four keys
    var dp = mat4x4<f32>();
    for (var o = 0u; o < HEAD_OCTETS; o++) {
      let queries = octets(Q, queries_at, o);
      let keys = octets(K, keys_at, o);
      s += transpose(keys.low) * queries.low;
      s += transpose(keys.high) * queries.high;
      let douts = octets(DOUT, queries_at, o);
      let values = octets(V, keys_at, o);
      dp += transpose(values.low) * douts.low;
      dp += transpose(values.high) * douts.high;
    }
    var ds = mat4x4<f32>();
    for (var r = 0u; r < 4u; r++) {
      let seen = (key >= vec4<u32>(first[r])) & (key <= vec4<u32>(query[r]));
      // A masked score may exceed the query's logsumexp, and exp would overflow.
      let p = exp(select(vec4<f32>(0.0), s[r] * params.scale - lse[r], seen));
      ds[r] = select(vec4<f32>(0.0), p * (dp[r] - row_delta[r]) * params.scale, seen);
    }
    // Key by key: unrolled for all four, these products are no faster, and slower to compile.
    var ds_rows = transpose(ds);
    var next = keys_at;
    for (var c = 0u; c < 4u; c++) {
      // @unroll
      for (var o = 0u; o < HEAD_OCTETS; o++) {
        let k_octet = octet(K, next.quad.x, next.y.x, o);
        sums[2u * o] += outer(k_octet.low, ds_rows[0]);
        sums[2u * o + 1u] += outer(k_octet.high, ds_rows[0]);
      }
      ds_rows = rotated_columns(ds_rows, 1u);
      next = rotated(next, 1u);
    }
  }

  let continues = params.first_key > lowest;   // an earlier dispatch has processed some keys
  for (var r = 0u; r < rows; r++) {
    // @unroll
    for (var d = 0u; d < HEAD_QUADS; d++) {
      let place = q_y[r] * params.q_quads + head * HEAD_QUADS + d;
      var sum = row_of(sums[d], r);
      if (continues) { sum += unpack(dq[place]); }
      dq[place] = pack(sum);
    }
  }
}
