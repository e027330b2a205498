// attention.wgsl for software adapters: the same equations, operands and results. See
// lib/attention_texture.wgsl for why its structure differs.
// @use bfloat16 | float32
// @use attention_texture, attention_first_keys, fours

struct Params {
  count: u32,          // units of this and all earlier dispatches
  first: u32,          // first unit of this dispatch: (sequence, head, four queries)
  blocks: u32,         // quads of queries per sequence
  heads: u32,          // H
  group: u32,          // H / K
  query_length: u32,   // Tq
  key_length: u32,
  first_key: u32,      // keys in this dispatch; a multiple of four
  end_key: u32,
  q_quads: u32,        // row stride of out, in quads
  sequence: u32,       // first sequence of the textures and of out
  lse_stride: u32,
  has_first_keys: u32, // 0 or 1
  scale: f32,          // 1 / sqrt(D)
}

@group(0) @binding(3) var<storage, read_write> out: array<Quad>;          // (B·Tq, H·D)
@group(0) @binding(4) var<storage, read_write> logsumexp: array<f32>;     // (B·Tq, H)
@group(1) @binding(0) var<uniform> params: Params;

// Scores of four keys from `key` on, masked outside `first` to `last`.
fn masked(s: vec4<f32>, key: u32, first: u32, last: u32) -> vec4<f32> {
  let keys = four_from(key);
  let seen = (keys >= vec4<u32>(first)) & (keys <= vec4<u32>(last));
  return select(vec4<f32>(LOWEST), s * params.scale, seen);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let unit = params.first + id.x;
  if (unit >= params.count) { return; }
  let block = unit % params.blocks;
  let head = (unit / params.blocks) % params.heads;
  let sequence = unit / (params.blocks * params.heads);

  let query = four_rows(4u * block, params.query_length - 1u);
  let q_y = sequence * params.query_length + query;
  let q_x = head * HEAD_QUADS;
  let k_x = (head / params.group) * HEAD_QUADS;
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
  var sums = Rows();
  for (var key = start; key < end; key += 4u) {
    let k_y = sequence * params.key_length + four_rows(key, params.key_length - 1u);
    var s = mat4x4<f32>();   // column r: the scores of row r with the four keys
    for (var d = 0u; d < HEAD_QUADS; d++) {
      s += transpose(load_k(k_x + d, k_y)) * load_q(q_x + d, q_y);
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
    for (var d = 0u; d < HEAD_QUADS; d++) {
      let old = sums[d];
      sums[d] = mat4x4<f32>(
        old[0] * shrink.x, old[1] * shrink.y, old[2] * shrink.z, old[3] * shrink.w,
      ) + load_v(k_x + d, k_y) * p;
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
  for (var r = 0u; r < rows; r++) { logsumexp[at[r]] = maximum[r] + log(total[r]); }
  for (var d = 0u; d < HEAD_QUADS; d++) {
    for (var r = 0u; r < rows; r++) {
      let place = q_y[r] * params.q_quads + q_x + d;
      var sum = sums[d][r] * shrink[r];
      if (continues) { sum += unpack(out[place]) * before[r]; }
      out[place] = pack(sum / total[r]);
    }
  }
}
