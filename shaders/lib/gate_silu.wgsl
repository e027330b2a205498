// The activation of a gate and its slope: silu(z) = z · σ(z). Twin: gate_gelu_tanh.wgsl.
struct Gate {
  value: vec4<f32>,
  slope: vec4<f32>,
}

fn activated(z: vec4<f32>) -> Gate {
  // Below −80 σ is about 1e-35, and beyond −88 exp would overflow: the bound loses no precision.
  let sigmoid = 1.0 / (1.0 + exp(min(-z, vec4<f32>(80.0))));
  return Gate(z * sigmoid, sigmoid * (1.0 + z * (1.0 - sigmoid)));
}
