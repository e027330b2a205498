// logits[j] ← the lowest number for every token j that would complete a sequence of `size` tokens
// that `tokens` contain already: transformers' NoRepeatNGramLogitsProcessor.
// A thread for each sequence; several may write the same number to the same logit.
override WORKGROUP_SIZE: u32;

struct Params {
  length: u32,   // tokens so far
  size: u32,     // 1 to length
}

@group(0) @binding(0) var<storage, read> tokens: array<u32>;        // (T)
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;  // (V)
@group(1) @binding(0) var<uniform> params: Params;

// Finite, because compilers for cards assume that infinity does not occur.
const LOWEST = -3.4028234e38;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x + params.size > params.length) { return; }
  let before = params.size - 1u;   // tokens that precede the last of a sequence
  let own = params.length - before;
  var same = 0u;
  while (same < before && tokens[id.x + same] == tokens[own + same]) { same++; }
  if (same == before) { logits[tokens[id.x + before]] = LOWEST; }
}
