// attention_backward_keys.wgsl for software adapters: the same equations, operands and results. See
// lib/attention_texture.wgsl for why its structure differs.
// @use bfloat16 | float32
// @use attention_texture, attention_texture_dout, attention_first_keys, fours

struct Params {
  count: u32,          // units of this and all earlier dispatches
  first: u32,          // first unit of this dispatch: (sequence, key/value head, four keys)
  blocks: u32,         // quads of keys per sequence
  heads: u32,          // H
  group: u32,          // H / K
  length: u32,         // T
  first_member: u32,   // heads of a group in this dispatch
  end_member: u32,
  first_query: u32,    // queries of each in this dispatch; a multiple of four
  end_query: u32,
  accumulate: u32,     // 1 adds to dk and dv
  k_quads: u32,        // row stride of dk and dv, in quads
  sequence: u32,       // first sequence in all operands but delta and first_keys
  pair_stride: u32,    // row stride of delta, in pairs
  has_first_keys: u32, // 0 or 1
  scale: f32,          // 1 / sqrt(D)
}

@group(0) @binding(4) var<storage, read> delta: array<vec2<f32>>;         // (B·T, H) with logsumexp
@group(0) @binding(5) var<storage, read_write> dk: array<Quad>;           // (B·T, K·D)
@group(0) @binding(6) var<storage, read_write> dv: array<Quad>;           // (B·T, K·D)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let unit = params.first + id.x;
  if (unit >= params.count) { return; }
  let key_heads = params.heads / params.group;
  let block = unit % params.blocks;
  let key_head = (unit / params.blocks) % key_heads;
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
  let k_x = key_head * HEAD_QUADS;
  var dk_sums = Rows();
  var dv_sums = Rows();
  for (var member = params.first_member; member < params.end_member; member++) {
    let head = key_head * params.group + member;
    let q_x = head * HEAD_QUADS;
    for (var first_query = start; first_query < params.end_query; first_query += 4u) {
      let columns = four_rows(first_query, last);
      let first = first_keys_of(rows_at + columns);
      if (first.x > key.w) { break; }
      let query = four_from(first_query);
      let q_y = base + columns;
      var s = mat4x4<f32>();    // column r: key r with the four queries
      var dp = mat4x4<f32>();
      for (var d = 0u; d < HEAD_QUADS; d++) {
        s += transpose(load_q(q_x + d, q_y)) * load_k(k_x + d, k_y);
        dp += transpose(load_dout(q_x + d, q_y)) * load_v(k_x + d, k_y);
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
      for (var d = 0u; d < HEAD_QUADS; d++) {
        dv_sums[d] += load_dout(q_x + d, q_y) * p;
        dk_sums[d] += load_q(q_x + d, q_y) * ds;
      }
    }
  }

  let rows = min(4u, params.length - 4u * block);
  for (var d = 0u; d < HEAD_QUADS; d++) {
    for (var r = 0u; r < rows; r++) {
      let place = k_y[r] * params.k_quads + k_x + d;
      var dk_sum = dk_sums[d][r];
      var dv_sum = dv_sums[d][r];
      if (params.accumulate == 1u) {
        dk_sum += unpack(dk[place]);
        dv_sum += unpack(dv[place]);
      }
      dk[place] = pack(dk_sum);
      dv[place] = pack(dv_sum);
    }
  }
}
