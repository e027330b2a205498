// The gradients of attention_backward_queries.wgsl and attention_backward_keys.wgsl, for software
// adapters, from the scores that attention_backward_scores_texture.wgsl keeps.
//   dq = ds · k,  dk = dsᵀ · q,  dv = pᵀ · dout
// @use bfloat16 | float32
// @use attention_texture, attention_pairs, attention_first_keys, fours

struct Params {
  count: u32,          // units of this and all earlier dispatches
  first: u32,          // first unit of this dispatch: (four rows, key/value head, member)
  heads: u32,          // H
  group: u32,          // H / K
  length: u32,         // T
  first_key_head: u32, // heads in this dispatch, as lib/attention_pairs.wgsl has it
  key_heads: u32,
  first_member: u32,
  members: u32,
  first_query: u32,    // a multiple of eight
  end_query: u32,
  factor_quads: u32,   // row stride of factor, in quads
  factor_shift: u32,   // of the texture
  row_quads: u32,      // row stride of gradient, in quads
  sequence: u32,       // first sequence in first_keys
  accumulate: u32,     // 1 adds sums
  last: u32,           // 1 writes gradient, else sums
  has_first_keys: u32, // 0 or 1
}

// dk or dv, whose units have no member: they sum over the heads that share them. Instead of dq. What
// several dispatches add up is kept in float32: gradient is rounded once.
override OF_KEYS: bool;

@group(0) @binding(0) var factor: texture_storage_2d<rgba32uint, read>;    // k, q or dout
@group(0) @binding(1) var scores: texture_storage_2d<rgba32float, read>;   // p or ds
@group(0) @binding(2) var<storage, read_write> gradient: array<Quad>;      // dq, dk or dv
@group(0) @binding(3) var<storage, read_write> sums: array<vec4<f32>>;     // (T, D) of dk or dv
@group(1) @binding(0) var<uniform> params: Params;

const FACTOR = 0u;

fn texel(_operand: u32, at: vec2<u32>) -> vec4<u32> {
  return textureLoad(factor, at);
}

// Column c: the scores of key `key` + c with four queries.
fn scores_at(key: u32, y: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    textureLoad(scores, vec2<u32>(key, y)),
    textureLoad(scores, vec2<u32>(key + 1u, y)),
    textureLoad(scores, vec2<u32>(key + 2u, y)),
    textureLoad(scores, vec2<u32>(key + 3u, y)),
  );
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let unit = params.first + id.x;
  if (unit >= params.count) { return; }
  let members = select(1u, params.members, OF_KEYS);   // whose products are added up
  let sums_at_once = params.key_heads * params.members / members;
  let pair = unit % sums_at_once * members;
  let at = pair_at(pair);
  let last = params.length - 1u;
  let rows_at = params.sequence * params.length + at.base;

  // A thread's own four rows, and four of the others at a time. Scores are in blocks of eight by
  // eight, of which those that are masked as a whole were never written.
  var own = 4u * (unit / sums_at_once);
  var start = max(params.first_query, own / 8u * 8u);
  var end = params.end_query;
  if (!OF_KEYS) {
    own += params.first_query;
    start = first_key_of(rows_at + own / 8u * 8u) / 8u * 8u;
    end = min(own + 4u, params.length);
  }
  var products = Sums();
  for (var member = 0u; member < members; member++) {
    let head = select(at.key_head, at.head + member, OF_KEYS);
    let y = scores_of(pair + member);
    for (var other = start; other < end; other += 4u) {
      if (OF_KEYS && first_key_of(rows_at + other / 8u * 8u) / 8u > own / 8u) { break; }
      var part: mat4x4<f32>;   // column r: own row r with the others
      if (OF_KEYS) {
        part = scores_at(own, y + (other - params.first_query) / 4u);
      } else {
        part = transpose(scores_at(other, y + (own - params.first_query) / 4u));
      }
      let factor_at = heads_at(
        at.base + four_rows(other, last), params.factor_shift, params.factor_quads, head,
      );
      // @unroll
      for (var o = 0u; o < HEAD_OCTETS; o++) {
        let factors = octets(FACTOR, factor_at, o);
        products[2u * o] += factors.low * part;
        products[2u * o + 1u] += factors.high * part;
      }
    }
  }

  let head = select(at.head, at.key_head, OF_KEYS);
  let rows = min(4u, params.length - own);
  for (var r = 0u; r < rows; r++) {
    // @unroll
    for (var d = 0u; d < HEAD_QUADS; d++) {
      var sum = row_of(products[d], r);
      let kept = (own + r) * HEAD_QUADS + d;
      if (params.accumulate == 1u) { sum += sums[kept]; }
      if (params.last == 1u) {
        gradient[(at.base + own + r) * params.row_quads + head * HEAD_QUADS + d] = pack(sum);
      } else {
        sums[kept] = sum;
      }
    }
  }
}
