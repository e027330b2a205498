// The gradient of the queries                              (Dao 2023, "FlashAttention-2", alg. 2)
// forward: p = exp(q · kᵀ / sqrt(D) − logsumexp), causal; out = p · v
//   delta = rowsum(dout · out)           (B·T, H) overwritten: attention_backward_keys needs it
//   ds    = p · (dout · vᵀ − delta) / sqrt(D)
//   dq    = ds · k                       (B·T, H·D) overwritten; added to after the first keys
// The probabilities are computed again from the logsumexp: no matrix of them is ever in memory.
// The walk is that of attention.wgsl: a block of queries of one head over blocks of keys.

struct Params {
  first: u32,      // first unit of this dispatch: (sequence, head, block of queries)
  blocks: u32,     // blocks of queries in a sequence
  heads: u32,      // H
  group: u32,      // H / K
  length: u32,     // T
  first_key: u32,  // keys of this dispatch; a multiple of BLOCK
  end_key: u32,
  q_quads: u32,    // strides of rows, in fours
  k_quads: u32,
  sequence: u32,   // first sequence that the operands, but logsumexp and delta, are bound from
  lse_stride: u32,
  scale: f32,      // 1 / sqrt(D)
}

@group(0) @binding(0) var<storage, read> q: array<Quad>;                // (B·T, H·D)
@group(0) @binding(1) var<storage, read> k: array<Quad>;                // (B·T, K·D)
@group(0) @binding(2) var<storage, read> v: array<Quad>;                // (B·T, K·D)
@group(0) @binding(3) var<storage, read> out: array<Quad>;              // (B·T, H·D)
@group(0) @binding(4) var<storage, read> dout: array<Quad>;             // (B·T, H·D)
@group(0) @binding(5) var<storage, read> logsumexp: array<f32>;         // (B·T, H)
@group(0) @binding(6) var<storage, read_write> delta: array<f32>;       // (B·T, H)
@group(0) @binding(7) var<storage, read_write> dq: array<Quad>;         // (B·T, H·D)
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> gradients: Block;
var<workgroup> exchange: array<vec4<f32>, WORKGROUP_SIZE>;   // a number for each row of a thread

// One quad of four rows: a column of the matrix is a row.
fn load_q(at: vec4<u32>, d: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    unpack(q[at.x + d]), unpack(q[at.y + d]), unpack(q[at.z + d]), unpack(q[at.w + d]),
  );
}

fn load_k(at: vec4<u32>, d: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    unpack(k[at.x + d]), unpack(k[at.y + d]), unpack(k[at.z + d]), unpack(k[at.w + d]),
  );
}

fn load_v(at: vec4<u32>, d: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    unpack(v[at.x + d]), unpack(v[at.y + d]), unpack(v[at.z + d]), unpack(v[at.w + d]),
  );
}

fn load_dout(at: vec4<u32>, d: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    unpack(dout[at.x + d]), unpack(dout[at.y + d]), unpack(dout[at.z + d]), unpack(dout[at.w + d]),
  );
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
  let base = (unit / (params.blocks * params.heads)) * params.length;

  let first_query = block * BLOCK;
  let last = params.length - 1u;
  // Beyond the last query the last is done again, and not stored.
  let query = rows_of(first_query, row_lane, last);
  let q_at = (base + query) * params.q_quads + head * HEAD_QUADS;
  let k_head = (head / params.group) * HEAD_QUADS;
  let keys = min(params.end_key, min(first_query + BLOCK, params.length));
  if (params.first_key >= keys) { return; }

  // delta, each thread adding up a part of its rows.
  var part = vec4<f32>(0.0);
  for (var d = column_lane; d < HEAD_QUADS; d += LANES) {
    for (var r = 0u; r < 4u; r++) {
      part[r] += dot(unpack(out[q_at[r] + d]), unpack(dout[q_at[r] + d]));
    }
  }
  exchange[thread] = part;
  workgroupBarrier();
  var row_delta = vec4<f32>(0.0);
  for (var i = 0u; i < LANES; i++) { row_delta += exchange[row_lane * LANES + i]; }
  var lse = vec4<f32>(0.0);
  for (var r = 0u; r < 4u; r++) {
    let at = (params.sequence * params.length + base + query[r]) * params.lse_stride + head;
    lse[r] = logsumexp[at];
    if (column_lane == 0u && first_query + row_lane + LANES * r <= last) {
      delta[at] = row_delta[r];
    }
  }

  var sums = Rows();
  for (var first_key = params.first_key; first_key < keys; first_key += BLOCK) {
    let column = first_key + 4u * column_lane;
    let k_at = (base + next_four(column, last)) * params.k_quads + k_head;
    // Column r: row r with the four keys.
    var s = mat4x4<f32>();
    var dp = mat4x4<f32>();
    for (var d = 0u; d < HEAD_QUADS; d++) {
      s += transpose(load_k(k_at, d)) * load_q(q_at, d);
      dp += transpose(load_v(k_at, d)) * load_dout(q_at, d);
    }

    workgroupBarrier();   // the block before has been read by all
    let key = vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u);
    for (var r = 0u; r < 4u; r++) {
      let p = exp(s[r] * params.scale - lse[r]);
      let ds = p * (dp[r] - row_delta[r]) * params.scale;
      gradients[(row_lane + LANES * r) * BLOCK_STRIDE + column_lane] =
        select(vec4<f32>(0.0), ds, key <= vec4<u32>(query[r]));
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
          if (params.first_key > 0u) { sum += unpack(dq[q_at[r] + d]); }
          dq[q_at[r] + d] = pack(sum);
        }
      }
    }
  }
}
