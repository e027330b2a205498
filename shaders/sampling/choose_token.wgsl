// Chooses a token by its logit l, in transformers' order (Holtzman et al. 2020 for top-p, Nguyen et
// al. 2024 for min-p):
//   temperature 0   the likeliest token
//   otherwise       weight = exp((l − max) / temperature)
//     top-k         keep the k likeliest, and those as likely as the last of them
//     top-p         of these keep the fewest whose weights reach top_p of their sum
//     min-p         keep weights of at least min_p (the largest is 1)
//                   draw one of the kept with its share of their weights
// token[0] and history[position] are overwritten, occurrences[token] is added to.
//
// Tokens are ranked by logit, then by id. Every filter keeps a beginning of that ranking, so the sum
// of its weights says all about it, and the draw is the token at which the running sum of weights
// passes a random share of the smallest of these sums. A token is found by its running sum without
// sorting: sums by the first eight bits of its rank, then, in the bin that has the token, by the next
// eight, and so on. Weights are fixed-point numbers, of which atomics make sums that do not depend
// on the order; a weight below 2^-42 counts nothing.
// One workgroup: what this takes is little beside the layers, and it needs no second dispatch.
override WORKGROUP_SIZE: u32;   // BINS: a thread clears its bin

struct Params {
  vocabulary: u32,    // V, below 2^21, so that sums of weights stay below 2^63
  quads: u32,         // of a row of logits
  position: u32,      // of the token in history
  temperature: f32,
  top_k: u32,         // 0: all
  top_p: u32,         // in units of 2^-32, if it is below 1:
  nucleus: u32,       // 1 if it is
  min_p: f32,
  random: u32,        // the random number, in units of 2^-32
}

@group(0) @binding(0) var<storage, read> logits: array<vec4<f32>>;           // (V)
@group(0) @binding(1) var<storage, read_write> token: array<u32>;            // (1)
@group(0) @binding(2) var<storage, read_write> history: array<u32>;          // (T)
@group(0) @binding(3) var<storage, read_write> occurrences: array<u32>;      // (V)
@group(1) @binding(0) var<uniform> params: Params;

const BINS = 256u;
const BINS_PER_GROUP = 16u;
const NONE = 0xffffffffu;

// Numbers of 64 bits: (low, high).
var<workgroup> bin_low: array<atomic<u32>, BINS>;
var<workgroup> bin_high: array<atomic<u32>, BINS>;
var<workgroup> bin_count: array<atomic<u32>, BINS>;
var<workgroup> group_sums: array<vec2<u32>, BINS_PER_GROUP>;
var<workgroup> first_place: atomic<u32>;
var<workgroup> first_id: atomic<u32>;

// What a search knows of its token: leading bits of place and id, and the sum of the weights of all
// tokens before those with these bits.
struct Search {
  place: u32,
  place_mask: u32,
  id: u32,
  id_mask: u32,
  before: vec2<u32>,
}
var<workgroup> search: Search;
var<workgroup> alone: u32;   // 1 once only one token has these bits

fn add(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let low = a.x + b.x;
  return vec2<u32>(low, a.y + b.y + u32(low < a.x));
}

fn less(a: vec2<u32>, b: vec2<u32>) -> bool {
  return a.y < b.y || (a.y == b.y && a.x < b.x);
}

fn smaller(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  return select(b, a, less(a, b));
}

// a · b, of 64 bits.
fn product(a: u32, b: u32) -> vec2<u32> {
  let a0 = a & 0xffffu; let a1 = a >> 16u;
  let b0 = b & 0xffffu; let b1 = b >> 16u;
  let mid = a1 * b0 + ((a0 * b0) >> 16u);
  let mid_low = (mid & 0xffffu) + a0 * b1;
  return vec2<u32>(a * b, a1 * b1 + (mid >> 16u) + (mid_low >> 16u));
}

// a · share / 2^32, rounded down.
fn share_of(a: vec2<u32>, share: u32) -> vec2<u32> {
  return add(product(a.y, share), vec2<u32>(product(a.x, share).y, 0u));
}

// A running sum that reaches this one passes that.
fn before_reaching(sum: vec2<u32>) -> vec2<u32> {
  if (sum.x == 0u && sum.y == 0u) { return sum; }
  return vec2<u32>(sum.x - 1u, sum.y - u32(sum.x == 0u));
}

// Smaller for a larger logit; what is no number comes last.
fn place_of(l: f32) -> u32 {
  let bits = bitcast<u32>(l);
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return NONE; }
  if (bits == 0x80000000u) { return 0x7fffffffu; }   // -0 is 0
  return select(~bits & 0x7fffffffu, bits, bits >= 0x80000000u);
}

fn logit_at(place: u32) -> f32 {
  return bitcast<f32>(select(~place & 0x7fffffffu, place, place >= 0x80000000u));
}

fn weight_of(l: f32, largest: f32) -> f32 {
  // exp(-104) is 0 in float32, and the quotient stays finite.
  let power = max(l - largest, -104.0 * params.temperature) / params.temperature;
  return select(exp(power), 1.0, l == largest);
}

// In units of 2^-42, exactly: scaling by powers of two does not round.
fn fixed(weight: f32) -> vec2<u32> {
  let scaled = weight * 1024.0;
  let high = floor(scaled);
  return vec2<u32>(u32((scaled - high) * 4294967296.0), u32(high));
}

// Consecutive tokens often share a bin: a thread adds them up before it adds to the bin.
var<private> run_bin: u32;
var<private> run_sum: vec2<u32>;
var<private> run_count: u32;

fn end_run() {
  if (run_count == 0u) { return; }
  let low = atomicAdd(&bin_low[run_bin], run_sum.x);
  atomicAdd(&bin_high[run_bin], run_sum.y + u32(low + run_sum.x < low));
  atomicAdd(&bin_count[run_bin], run_count);
  run_sum = vec2<u32>(0u);
  run_count = 0u;
}

fn put(bin: u32, amount: vec2<u32>) {
  if (bin != run_bin) {
    end_run();
    run_bin = bin;
  }
  run_sum = add(run_sum, amount);
  run_count++;
}

fn bin_sum(bin: u32) -> vec2<u32> {
  return vec2<u32>(atomicLoad(&bin_low[bin]), atomicLoad(&bin_high[bin]));
}

fn clear_bins(thread: u32) {
  atomicStore(&bin_low[thread], 0u);
  atomicStore(&bin_high[thread], 0u);
  atomicStore(&bin_count[thread], 0u);
  workgroupBarrier();
}

fn earlier(l: f32, id: u32, best: vec2<u32>) -> vec2<u32> {
  let place = place_of(l);
  return select(best, vec2<u32>(place, id), id < params.vocabulary && place < best.x);
}

// Adds a token to the sums of what top-k (bin 0) and min-p (bin 1) keep.
fn put_kept(l: f32, id: u32, largest: f32, last_place: u32) {
  if (id >= params.vocabulary) { return; }
  let weight = weight_of(l, largest);
  let amount = fixed(weight);
  if (place_of(l) <= last_place) { put(0u, amount); }
  if (weight >= params.min_p) { put(1u, amount); }
}

fn is_found(place: u32, id: u32, known: Search) -> bool {
  return id < params.vocabulary && (place & known.place_mask) == known.place &&
    (id & known.id_mask) == known.id;
}

// The one token that has all known bits.
fn note(l: f32, id: u32, known: Search) {
  let place = place_of(l);
  if (!is_found(place, id, known)) { return; }
  atomicStore(&first_place, place);
  atomicStore(&first_id, id);
}

// Adds a token that has the known bits to the bin of the next eight: four times of its place, then
// of its id.
fn put_next(l: f32, id: u32, largest: f32, known: Search, round: u32, by_count: bool) {
  let place = place_of(l);
  if (!is_found(place, id, known)) { return; }
  var amount = vec2<u32>(1u, 0u);
  if (!by_count) { amount = fixed(weight_of(l, largest)); }
  put(select(id, place, round < 4u) >> shift_of(round) & 255u, amount);
}

fn shift_of(round: u32) -> u32 {
  return select(48u, 24u, round < 4u) - 8u * round;
}

// One thread: the bin in which the running sum passes the goal.
fn advance(goal: vec2<u32>, round: u32) {
  var before = search.before;
  var bin = 0u;
  for (; bin < BINS - BINS_PER_GROUP; bin += BINS_PER_GROUP) {
    let after = add(before, group_sums[bin / BINS_PER_GROUP]);
    if (less(goal, after)) { break; }
    before = after;
  }
  let last = bin + BINS_PER_GROUP - 1u;
  for (; bin < last; bin++) {
    let after = add(before, bin_sum(bin));
    if (less(goal, after)) { break; }
    before = after;
  }
  search.before = before;
  if (round < 4u) {
    search.place |= bin << shift_of(round);
    search.place_mask |= 255u << shift_of(round);
  } else {
    search.id |= bin << shift_of(round);
    search.id_mask |= 255u << shift_of(round);
  }
  alone = u32(atomicLoad(&bin_count[bin]) == 1u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_index) thread: u32) {
  if (thread == 0u) {
    atomicStore(&first_place, NONE);
    atomicStore(&first_id, NONE);
  }
  workgroupBarrier();
  var best = vec2<u32>(NONE, NONE);
  for (var q = thread; q < params.quads; q += WORKGROUP_SIZE) {
    let l = logits[q];
    best = earlier(l.x, 4u * q, best);
    best = earlier(l.y, 4u * q + 1u, best);
    best = earlier(l.z, 4u * q + 2u, best);
    best = earlier(l.w, 4u * q + 3u, best);
  }
  atomicMin(&first_place, best.x);
  workgroupBarrier();
  if (best.x == atomicLoad(&first_place)) { atomicMin(&first_id, best.y); }
  workgroupBarrier();
  let top_place = atomicLoad(&first_place);
  // The first token where no logit is a number.
  var chosen = select(atomicLoad(&first_id), 0u, top_place == NONE);
  workgroupBarrier();

  if (params.temperature > 0.0 && top_place != NONE) {
    let largest = logit_at(top_place);
    var last_place = NONE - 1u;      // of top-k
    var top_k_sum = vec2<u32>(0u);
    var kept = vec2<u32>(0u);
    // 0 finds the last token of top-k, 1 the last of top-p, 2 the token to draw.
    for (var step = 0u; step < 3u; step++) {
      if (step == 1u) {
        clear_bins(thread);
        for (var q = thread; q < params.quads; q += WORKGROUP_SIZE) {
          let l = logits[q];
          put_kept(l.x, 4u * q, largest, last_place);
          put_kept(l.y, 4u * q + 1u, largest, last_place);
          put_kept(l.z, 4u * q + 2u, largest, last_place);
          put_kept(l.w, 4u * q + 3u, largest, last_place);
        }
        end_run();
        workgroupBarrier();
        top_k_sum = bin_sum(0u);
        kept = smaller(top_k_sum, bin_sum(1u));
        workgroupBarrier();
      }
      if ((step == 0u && params.top_k == 0u) || (step == 1u && params.nucleus == 0u)) { continue; }
      var goal = vec2<u32>(params.top_k - 1u, 0u);
      if (step == 1u) { goal = before_reaching(share_of(top_k_sum, params.top_p)); }
      if (step == 2u) { goal = share_of(kept, params.random); }

      if (thread == 0u) { search = Search(); }
      for (var round = 0u; round < 7u; round++) {
        clear_bins(thread);
        let known = search;
        for (var q = thread; q < params.quads; q += WORKGROUP_SIZE) {
          let l = logits[q];
          put_next(l.x, 4u * q, largest, known, round, step == 0u);
          put_next(l.y, 4u * q + 1u, largest, known, round, step == 0u);
          put_next(l.z, 4u * q + 2u, largest, known, round, step == 0u);
          put_next(l.w, 4u * q + 3u, largest, known, round, step == 0u);
        }
        end_run();
        workgroupBarrier();
        if (thread < BINS / BINS_PER_GROUP) {
          var sum = vec2<u32>(0u);
          for (var i = 0u; i < BINS_PER_GROUP; i++) {
            sum = add(sum, bin_sum(thread * BINS_PER_GROUP + i));
          }
          group_sums[thread] = sum;
        }
        workgroupBarrier();
        if (thread == 0u) { advance(goal, round); }
        if (workgroupUniformLoad(&alone) == 1u) { break; }
      }
      let known = search;
      for (var q = thread; q < params.quads; q += WORKGROUP_SIZE) {
        let l = logits[q];
        note(l.x, 4u * q, known);
        note(l.y, 4u * q + 1u, known);
        note(l.z, 4u * q + 2u, known);
        note(l.w, 4u * q + 3u, known);
      }
      workgroupBarrier();
      last_place = atomicLoad(&first_place);
      chosen = atomicLoad(&first_id);
      workgroupBarrier();
      if (step == 1u) {
        let last = fixed(weight_of(logit_at(last_place), largest));
        kept = smaller(kept, add(known.before, last));
      }
    }
  }
  if (thread != 0u) { return; }
  token[0] = chosen;
  history[params.position] = chosen;
  occurrences[chosen] += 1u;
}
