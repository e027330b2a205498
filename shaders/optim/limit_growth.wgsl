// The norm-growth limiter (Chen et al. 2024, "Fira", section 4.2; also in APOLLO, section 3): the
// norm of an update, here of channels to be multiplied by factors, grows at most by a factor of gamma
// a step:
//   norm = √Σ factors²·squares
//   factors *= gamma · last / norm  where norm > gamma · last;  last = min(norm, gamma · last)
// A `last` of zero is that of a first step, which is only recorded: the state is all zero bytes then.
//   One workgroup: each thread strides over the channels, then all add up their sums in the same order.
override WORKGROUP_SIZE: u32;

struct Params {
  count: u32,
  gamma: f32,
}

@group(0) @binding(0) var<storage, read_write> factors: array<f32>;   // (count)
@group(0) @binding(1) var<storage, read> squares: array<f32>;         // (count), of the channels
@group(0) @binding(2) var<storage, read_write> last: array<f32>;      // (1)
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> sums: array<f32, WORKGROUP_SIZE>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_index) thread: u32) {
  let p = params;
  let most = p.gamma * last[0];
  var own = 0.0;
  for (var i = thread; i < p.count; i += WORKGROUP_SIZE) {
    own += factors[i] * factors[i] * squares[i];
  }
  sums[thread] = own;
  workgroupBarrier();
  var total = 0.0;
  for (var i = 0u; i < WORKGROUP_SIZE; i++) { total += sums[i]; }
  let norm = sqrt(total);
  let limited = most > 0.0 && norm > most;
  if (limited) {
    for (var i = thread; i < p.count; i += WORKGROUP_SIZE) { factors[i] *= most / norm; }
  }
  // All threads read the last norm first.
  storageBarrier();
  if (thread == 0u) { last[0] = select(norm, most, limited); }
}
