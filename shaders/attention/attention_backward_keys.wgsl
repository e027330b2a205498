// The gradients of the keys and values                     (Dao 2023, "FlashAttention-2", alg. 2)
// forward: p = exp(q · kᵀ / sqrt(D) − logsumexp), masked; out = p · v
//   ds = p · (dout · vᵀ − delta) / sqrt(D),  delta = rowsum(dout · out) from attention_delta
//   dv = pᵀ · dout,  dk = dsᵀ · q        (B·T, K·D) overwritten, or added to
// The roles of attention.wgsl are swapped: a workgroup owns a block of keys of one key/value head
// and loops over the queries that see them, in all heads that share it. So dk and dv are summed in
// registers, in a fixed order, without atomics or a pass over partial sums. First keys never
// decrease, so the loop ends at the first block of queries that sees only later keys.
// @use bfloat16 | float32
// @use attention_tile, attention_tile_dout, attention_first_keys, fours

struct Params {
  first: u32,          // first unit of this dispatch: (sequence, key/value head, block of keys)
  blocks: u32,         // blocks of keys per sequence
  heads: u32,          // H
  group: u32,          // H / K
  length: u32,         // T
  first_member: u32,   // heads of a group in this dispatch
  end_member: u32,
  first_query: u32,    // queries of each in this dispatch; a multiple of BLOCK
  end_query: u32,
  accumulate: u32,     // 1 adds to dk and dv
  q_quads: u32,        // row strides, in quads
  k_quads: u32,
  sequence: u32,       // first sequence in the bindings of all operands but delta and first_keys
  pair_stride: u32,    // row stride of delta, in pairs
  has_first_keys: u32, // 0 or 1
  scale: f32,          // 1 / sqrt(D)
}

@group(0) @binding(4) var<storage, read> delta: array<vec2<f32>>;       // (B·T, H) with logsumexp
@group(0) @binding(5) var<storage, read_write> dk: array<Quad>;         // (B·T, K·D)
@group(0) @binding(6) var<storage, read_write> dv: array<Quad>;         // (B·T, K·D)
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> probabilities: Block;   // transposed: rows are keys
var<workgroup> gradients: Block;       // ds, transposed

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let row_lane = thread / LANES;
  let column_lane = thread % LANES;
  let unit = params.first + group.x;
  let block = unit % params.blocks;
  let key_heads = params.heads / params.group;
  let key_head = (unit / params.blocks) % key_heads;
  let base = (unit / (params.blocks * key_heads)) * params.length;

  let first_key = block * BLOCK;
  let last = params.length - 1u;
  let last_key = min(first_key + BLOCK - 1u, last);
  // Causality: queries before the first key see none of this block.
  let start = max(params.first_query, first_key);
  let rows = params.sequence * params.length + base;
  if (params.accumulate == 1u) {
    if (start >= params.end_query) { return; }
    if (first_key_of(rows + start) > last_key) { return; }
  }
  // Beyond the last key, the last is recomputed and not stored.
  let key = rows_of(first_key, row_lane, last);
  let k_at = (base + key) * params.k_quads + key_head * HEAD_QUADS;
  var dk_sums = Rows();
  var dv_sums = Rows();

  for (var member = params.first_member; member < params.end_member; member++) {
    let head = key_head * params.group + member;
    for (var first_query = start; first_query < params.end_query; first_query += BLOCK) {
      if (first_key_of(rows + first_query) > last_key) { break; }
      let column = first_query + 4u * column_lane;
      let columns = next_four(column, last);
      let q_at = (base + columns) * params.q_quads + head * HEAD_QUADS;
      // Column r: key r with the four queries.
      var s = mat4x4<f32>();
      var dp = mat4x4<f32>();
      for (var d = 0u; d < HEAD_QUADS; d++) {
        s += transpose(load_q(q_at, d)) * load_k(k_at, d);
        dp += transpose(load_dout(q_at, d)) * load_v(k_at, d);
      }

      workgroupBarrier();   // all threads have read the previous blocks
      let query = four_from(column);
      let first = first_keys_of(rows + columns);
      let at = (rows + columns) * params.pair_stride + head;
      let pairs = transpose(mat4x2<f32>(delta[at.x], delta[at.y], delta[at.z], delta[at.w]));
      for (var r = 0u; r < 4u; r++) {
        let seen = (query >= vec4<u32>(key[r])) & (query <= vec4<u32>(last)) &
          (first <= vec4<u32>(key[r]));
        // A masked score may exceed the query's logsumexp, and exp would overflow.
        let score = select(vec4<f32>(0.0), s[r] * params.scale - pairs[1], seen);
        let p = select(vec4<f32>(0.0), exp(score), seen);
        let place = (row_lane + LANES * r) * BLOCK_STRIDE + column_lane;
        probabilities[place] = p;
        gradients[place] = p * (dp[r] - pairs[0]) * params.scale;
      }
      workgroupBarrier();

      // dv += pᵀ · dout, dk += dsᵀ · q
      for (var c = 0u; c < min(LANES, (last - first_query) / 4u + 1u); c++) {
        var p = mat4x4<f32>();
        var ds = mat4x4<f32>();
        for (var r = 0u; r < 4u; r++) {
          let place = (row_lane + LANES * r) * BLOCK_STRIDE + c;
          p[r] = probabilities[place];
          ds[r] = gradients[place];
        }
        let b_at = (base + next_four(first_query + 4u * c, last)) * params.q_quads +
          head * HEAD_QUADS;
        for (var i = 0u; i < OUT_QUADS; i++) {
          let d = min(column_lane + LANES * i, HEAD_QUADS - 1u);
          dv_sums[i] += load_dout(b_at, d) * p;
          dk_sums[i] += load_q(b_at, d) * ds;
        }
      }
    }
  }

  for (var r = 0u; r < 4u; r++) {
    if (first_key + row_lane + LANES * r <= last) {
      for (var i = 0u; i < OUT_QUADS; i++) {
        let d = column_lane + LANES * i;
        if (d < HEAD_QUADS) {
          var dk_sum = dk_sums[i][r];
          var dv_sum = dv_sums[i][r];
          if (params.accumulate == 1u) {
            dk_sum += unpack(dk[k_at[r] + d]);
            dv_sum += unpack(dv[k_at[r] + d]);
          }
          dk[k_at[r] + d] = pack(dk_sum);
          dv[k_at[r] + d] = pack(dv_sum);
        }
      }
    }
  }
}
