// What the adapter's memory can do at most: four vectors a thread, side by side in a workgroup, all
// four loads under way before the first store.
@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> copied: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let at = group.x * 1024u + thread;
  let a = source[at];
  let b = source[at + 256u];
  let c = source[at + 512u];
  let d = source[at + 768u];
  copied[at] = a;
  copied[at + 256u] = b;
  copied[at + 512u] = c;
  copied[at + 768u] = d;
}
