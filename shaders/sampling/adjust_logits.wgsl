// l = logits[j] + bias[j]
//   l ← l / repetition, or l · repetition where l < 0, for every token of the sequence so far
//                                                                          (Keskar et al. 2019)
//   l ← l − times · frequency − (times > 0) · presence, times that the token was generated
//                                                                               (OpenAI's API)
// logits (V) are overwritten.
override WORKGROUP_SIZE: u32;

struct Params {
  count: u32,        // V
  repetition: f32,   // 1: none
  frequency: f32,
  presence: f32,
}

@group(0) @binding(0) var<storage, read> occurrences: array<u32>;   // (V), see below
@group(0) @binding(1) var<storage, read> bias: array<f32>;          // (V)
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;  // (V)
@group(1) @binding(0) var<uniform> params: Params;

// An occurrence counts the times that a token was generated; its highest bit: it is in the prompt.
const TIMES = 0x7fffffffu;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.count) { return; }
  var l = logits[id.x] + bias[id.x];
  let seen = occurrences[id.x];
  // Division by one need not be exact.
  if (seen != 0u && params.repetition != 1.0) {
    l = select(l / params.repetition, l * params.repetition, l < 0.0);
  }
  let times = seen & TIMES;
  if (times > 0u) { l -= f32(times) * params.frequency + params.presence; }
  logits[id.x] = l;
}
