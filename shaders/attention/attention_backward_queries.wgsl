// The gradient of the queries                              (Dao 2023, "FlashAttention-2", alg. 2)
// forward: p = exp(q · kᵀ / sqrt(D) − logsumexp), masked; out = p · v
//   ds = p · (dout · vᵀ − delta) / sqrt(D),  delta = rowsum(dout · out) from attention_delta
//   dq = ds · k                          (B·T, H·D) overwritten by the first keys, then added to
// The probabilities are recomputed from the logsumexp: their matrix never exists in memory. The
// loop is that of attention.wgsl: a block of queries of one head over blocks of keys.
// @use bfloat16 | float32
// @use attention_tile, attention_tile_dout, attention_first_keys, fours

struct Params {
  first: u32,          // first unit of this dispatch: (sequence, head, block of queries)
  blocks: u32,         // blocks of queries per sequence
  heads: u32,          // H
  group: u32,          // H / K
  length: u32,         // T
  first_key: u32,      // keys in this dispatch; a multiple of BLOCK
  end_key: u32,
  q_quads: u32,        // row strides, in quads
  k_quads: u32,
  sequence: u32,       // first sequence in the bindings of all operands but delta and first_keys
  pair_stride: u32,    // row stride of delta, in pairs
  has_first_keys: u32, // 0 or 1
  scale: f32,          // 1 / sqrt(D)
}

@group(0) @binding(4) var<storage, read> delta: array<vec2<f32>>;       // (B·T, H) with logsumexp
@group(0) @binding(5) var<storage, read_write> dq: array<Quad>;         // (B·T, H·D)
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> gradients: Block;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let row_lane = thread / LANES;
  let column_lane = thread % LANES;
  let unit = params.first + group.x;
  let block = unit % params.blocks;
  let head = (unit / params.blocks) % params.heads;
  let base = (unit / (params.blocks * params.heads)) * params.length;

  let first_query = block * BLOCK;
  let last = params.length - 1u;
  // Beyond the last query, the last is recomputed and not stored.
  let query = rows_of(first_query, row_lane, last);
  let q_at = (base + query) * params.q_quads + head * HEAD_QUADS;
  let k_head = (head / params.group) * HEAD_QUADS;
  let rows = params.sequence * params.length + base;
  let first = first_keys_of(rows + query);
  let lowest = first_key_of(rows + first_query) / BLOCK * BLOCK;
  let start = max(params.first_key, lowest);
  let keys = min(params.end_key, min(first_query + BLOCK, params.length));
  if (start >= keys) { return; }

  var lse = vec4<f32>(0.0);
  var row_delta = vec4<f32>(0.0);
  for (var r = 0u; r < 4u; r++) {
    let pair = delta[(rows + query[r]) * params.pair_stride + head];
    row_delta[r] = pair.x;
    lse[r] = pair.y;
  }

  var sums = Rows();
  for (var first_key = start; first_key < keys; first_key += BLOCK) {
    let column = first_key + 4u * column_lane;
    let k_at = (base + next_four(column, last)) * params.k_quads + k_head;
    // Column r: row r with the four keys.
    var s = mat4x4<f32>();
    var dp = mat4x4<f32>();
    for (var d = 0u; d < HEAD_QUADS; d++) {
      s += transpose(load_k(k_at, d)) * load_q(q_at, d);
      dp += transpose(load_v(k_at, d)) * load_dout(q_at, d);
    }

    workgroupBarrier();   // all threads have read the previous block
    let key = four_from(column);
    for (var r = 0u; r < 4u; r++) {
      let seen = (key >= vec4<u32>(first[r])) & (key <= vec4<u32>(query[r]));
      // A masked score may exceed the query's logsumexp, and exp would overflow.
      let p = exp(select(vec4<f32>(0.0), s[r] * params.scale - lse[r], seen));
      let ds = p * (dp[r] - row_delta[r]) * params.scale;
      gradients[(row_lane + LANES * r) * BLOCK_STRIDE + column_lane] =
        select(vec4<f32>(0.0), ds, seen);
    }
    workgroupBarrier();

    // sums += ds · k
    for (var c = 0u; c < min(LANES, (keys - first_key + 3u) / 4u); c++) {
      var ds = mat4x4<f32>();
      for (var r = 0u; r < 4u; r++) {
        ds[r] = gradients[(row_lane + LANES * r) * BLOCK_STRIDE + c];
      }
      let b_at = (base + next_four(first_key + 4u * c, last)) * params.k_quads + k_head;
      for (var i = 0u; i < OUT_QUADS; i++) {
        sums[i] += load_k(b_at, min(column_lane + LANES * i, HEAD_QUADS - 1u)) * ds;
      }
    }
  }

  for (var r = 0u; r < 4u; r++) {
    if (first_query + row_lane + LANES * r <= last) {
      for (var i = 0u; i < OUT_QUADS; i++) {
        let d = column_lane + LANES * i;
        if (d < HEAD_QUADS) {
          var sum = sums[i][r];
          // An earlier dispatch has processed some keys.
          if (params.first_key > lowest) { sum += unpack(dq[q_at[r] + d]); }
          dq[q_at[r] + d] = pack(sum);
        }
      }
    }
  }
}
