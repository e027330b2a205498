// Four numbers at a time, as most kernels take them.

// What stands for a number that does not count: low enough that its exponential is zero, and far
// enough from infinity to subtract from.
const LOWEST = -3e38;

fn largest_of(v: vec4<f32>) -> f32 {
  return max(max(v.x, v.y), max(v.z, v.w));
}

// The largest number of each column.
fn largest_of_each(m: mat4x4<f32>) -> vec4<f32> {
  return vec4<f32>(largest_of(m[0]), largest_of(m[1]), largest_of(m[2]), largest_of(m[3]));
}

// The places of four neighbours.
fn four_from(first: u32) -> vec4<u32> {
  return vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u);
}
