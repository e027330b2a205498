// Threads that share a row use workgroup memory only. Twin: attention_near_subgroup.wgsl.
const NEAR = 1u;

fn near_max(own: vec4<f32>) -> vec4<f32> {
  return own;
}

fn near_sum(own: vec4<f32>) -> vec4<f32> {
  return own;
}
