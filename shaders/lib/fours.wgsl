// Helpers for four numbers at a time.

// Stands for a masked number: low enough that its exponential is zero, and far enough from infinity
// to subtract from.
const LOWEST = -3e38;

// Moments that only decay become subnormal numbers and stay there: times 0.9, the smallest rounds to
// itself. Processors compute many times slower with those, so smaller ones than this become zero.
const LEAST = 1e-36;

fn largest_of(v: vec4<f32>) -> f32 {
  return max(max(v.x, v.y), max(v.z, v.w));
}

// The largest number of each column.
fn largest_of_each(m: mat4x4<f32>) -> vec4<f32> {
  return vec4<f32>(largest_of(m[0]), largest_of(m[1]), largest_of(m[2]), largest_of(m[3]));
}

// Four consecutive indices.
fn four_from(first: u32) -> vec4<u32> {
  return vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u);
}
