// Counter-based random bits: stateless, so that a resumed run draws the same bits as an
// uninterrupted one. PCG hash of the counter, keyed by rounds over (seed, step, tensor). Jarzynski
// & Olano 2020, "Hash Functions for GPU Rendering": pcg4d.
fn random_bits(seed: u32, step: u32, tensor: u32, element: u32) -> vec4<u32> {
  var v = vec4<u32>(element, tensor, step, seed) * 1664525u + 1013904223u;
  v.x += v.y * v.w; v.y += v.z * v.x; v.z += v.x * v.y; v.w += v.y * v.z;
  v ^= v >> vec4<u32>(16u);
  v.x += v.y * v.w; v.y += v.z * v.x; v.z += v.x * v.y; v.w += v.y * v.z;
  return v;
}

// Four numbers in [0, 1), multiples of 2^-24.
fn random_uniform(seed: u32, step: u32, tensor: u32, element: u32) -> vec4<f32> {
  let bits = random_bits(seed, step, tensor, element) >> vec4<u32>(8u);
  // Processors convert signed integers in one instruction, unsigned ones in several.
  return vec4<f32>(vec4<i32>(bits)) * 5.9604644775390625e-8;
}
