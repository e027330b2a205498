// Lanes exchange values in workgroup memory only. Twin: lanes_subgroup.wgsl.
const NEAR = 1u;

fn near_max(own: vec2<f32>) -> vec2<f32> {
  return own;
}

fn near_sum(own: vec2<f32>) -> vec2<f32> {
  return own;
}
