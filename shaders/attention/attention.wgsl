// out = softmax(q · kᵀ / sqrt(D) + mask) · v             (Dao et al. 2022, FlashAttention, alg. 1)
//   q (B·Tq, H·D), k and v (B·S, K·D), the first keyLength rows of each sequence valid;
//   query i sees keys from its first key to i + keyLength − Tq (lib/attention_first_keys.wgsl).
//   Heads share keys in groups of H / K.
//   saves logsumexp (B·Tq, H) of the scaled scores; out is overwritten.
// A workgroup takes a block of queries of one head and loops over blocks of keys with a running
// maximum and sum per row (online softmax), so that the score matrix never exists in memory. A
// later dispatch can continue where a loop ended: it reads out and logsumexp, and adds its part. A
// row may see none of the first blocks that its neighbours see: its maximum is then LOWEST, and
// whatever it summed is scaled to zero at its first visible key. Every row sees at least one: its
// own.
// @use bfloat16 | float32
// @use attention_tile, attention_first_keys, fours

struct Params {
  first: u32,          // first unit of this dispatch: (sequence, head, block of queries)
  blocks: u32,         // blocks of queries per sequence
  heads: u32,          // H
  group: u32,          // H / K
  query_length: u32,   // Tq
  key_length: u32,
  key_capacity: u32,   // S
  first_key: u32,      // keys in this dispatch; a multiple of BLOCK
  end_key: u32,
  q_quads: u32,        // row strides, in quads
  k_quads: u32,
  sequence: u32,       // first sequence in the bindings of q, k, v and out
  lse_stride: u32,
  has_first_keys: u32, // 0 or 1
  scale: f32,          // 1 / sqrt(D)
}

@group(0) @binding(3) var<storage, read_write> out: array<Quad>;           // (B·Tq, H·D)
@group(0) @binding(4) var<storage, read_write> logsumexp: array<f32>;      // (B·Tq, H)
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> probabilities: Block;
var<workgroup> exchange: array<vec4<f32>, WORKGROUP_SIZE>;   // one number per row of a thread

// Scores of four keys from `key` on, masked outside `first` to `last`.
fn masked(s: vec4<f32>, key: u32, first: u32, last: u32) -> vec4<f32> {
  let keys = four_from(key);
  let seen = (keys >= vec4<u32>(first)) & (keys <= vec4<u32>(last));
  return select(vec4<f32>(LOWEST), s * params.scale, seen);
}

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
  let sequence = unit / (params.blocks * params.heads);

  let first_query = block * BLOCK;
  let last_query = params.query_length - 1u;
  let last_key = params.key_length - 1u;
  let shift = params.key_length - params.query_length;
  // Beyond the last query, the last is recomputed and not stored.
  let query = rows_of(first_query, row_lane, last_query);
  let q_at = (sequence * params.query_length + query) * params.q_quads + head * HEAD_QUADS;
  let k_base = sequence * params.key_capacity;
  let k_head = (head / params.group) * HEAD_QUADS;
  let row_base = (params.sequence + sequence) * params.query_length;
  let first = first_keys_of(row_base + query);   // first and last visible key of each row
  let visible = query + shift;
  let lowest = first_key_of(row_base + first_query) / BLOCK * BLOCK;
  let start = max(params.first_key, lowest);
  let keys = min(params.end_key, min(first_query + BLOCK - 1u, last_query) + shift + 1u);
  if (start >= keys) { return; }
  let continues = params.first_key > lowest;   // an earlier dispatch has processed some keys

  var maximum = vec4<f32>(LOWEST);
  var total = vec4<f32>(0.0);   // over this thread's columns
  var sums = Rows();
  for (var first_key = start; first_key < keys; first_key += BLOCK) {
    let column = first_key + 4u * column_lane;
    let k_at = (k_base + next_four(column, last_key)) * params.k_quads + k_head;
    // Column r of s: the scores of row r with the four keys.
    var s = mat4x4<f32>();
    for (var d = 0u; d < HEAD_QUADS; d++) { s += transpose(load_k(k_at, d)) * load_q(q_at, d); }
    s[0] = masked(s[0], column, first.x, visible.x);
    s[1] = masked(s[1], column, first.y, visible.y);
    s[2] = masked(s[2], column, first.z, visible.z);
    s[3] = masked(s[3], column, first.w, visible.w);

    // The new maximum of each row, shared by all its threads; earlier sums are rescaled.
    exchange[thread] = largest_of_each(s);
    workgroupBarrier();
    var now = maximum;
    for (var i = 0u; i < LANES; i++) { now = max(now, exchange[row_lane * LANES + i]); }
    let shrink = exp(maximum - now);
    maximum = now;
    let p = mat4x4<f32>(
      exp(s[0] - now.x), exp(s[1] - now.y), exp(s[2] - now.z), exp(s[3] - now.w),
    );
    total = total * shrink + vec4<f32>(1.0) * p;
    for (var r = 0u; r < 4u; r++) {
      probabilities[(row_lane + LANES * r) * BLOCK_STRIDE + column_lane] = p[r];
    }
    workgroupBarrier();

    let shrinking = mat4x4<f32>(
      vec4<f32>(shrink.x, 0.0, 0.0, 0.0), vec4<f32>(0.0, shrink.y, 0.0, 0.0),
      vec4<f32>(0.0, 0.0, shrink.z, 0.0), vec4<f32>(0.0, 0.0, 0.0, shrink.w),
    );
    for (var i = 0u; i < OUT_QUADS; i++) { sums[i] = sums[i] * shrinking; }
    // sums += probabilities · v
    for (var c = 0u; c < min(LANES, (keys - first_key + 3u) / 4u); c++) {
      var weights = mat4x4<f32>();
      for (var r = 0u; r < 4u; r++) {
        weights[r] = probabilities[(row_lane + LANES * r) * BLOCK_STRIDE + c];
      }
      let v_at = (k_base + next_four(first_key + 4u * c, last_key)) * params.k_quads + k_head;
      for (var i = 0u; i < OUT_QUADS; i++) {
        let d = min(column_lane + LANES * i, HEAD_QUADS - 1u);
        sums[i] += load_v(v_at, d) * weights;
      }
    }
    // No barrier is needed here: `exchange` is no longer read, and the next block writes to
    // `probabilities` only after a barrier that threads reach once they are done.
  }

  exchange[thread] = total;
  workgroupBarrier();
  var sum = vec4<f32>(0.0);
  for (var i = 0u; i < LANES; i++) { sum += exchange[row_lane * LANES + i]; }
  let at = (row_base + query) * params.lse_stride + head;
  var shrink = vec4<f32>(1.0);
  var before = vec4<f32>(0.0);   // weight of the earlier keys
  if (continues) {
    let old = vec4<f32>(logsumexp[at.x], logsumexp[at.y], logsumexp[at.z], logsumexp[at.w]);
    let now = max(maximum, old);
    shrink = exp(maximum - now);
    before = exp(old - now);
    maximum = now;
    sum = sum * shrink + before;
    storageBarrier();   // all threads have read what one is about to overwrite
  }
  for (var r = 0u; r < 4u; r++) {
    if (first_query + row_lane + LANES * r <= last_query) {
      if (column_lane == 0u) { logsumexp[at[r]] = maximum[r] + log(sum[r]); }
      for (var i = 0u; i < OUT_QUADS; i++) {
        let d = column_lane + LANES * i;
        if (d < HEAD_QUADS) {
          var values = sums[i][r] * shrink[r];
          if (continues) { values += unpack(out[q_at[r] + d]) * before[r]; }
          out[q_at[r] + d] = pack(values / sum[r]);
        }
      }
    }
  }
}
