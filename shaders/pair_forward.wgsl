// Pair forward: loss and gradient of each sample, and the batch's sums for the head.
//
//     a = affinity(user[b], item[b])        z = scale a + bias        d = (sigmoid(z) - target[b]) weight[b] rating_share / samples
//     gradient[b]    = scale d
//     partial[group] = sum over the group of (loss weight / samples, d a, d, 0)         a group: TEAMS samples in a row
//
// Shapes: slots, targets, weights [samples] each in `plan`; users [user_rows, FACTOR4], items [item_rows, FACTOR4] vec4;
// head [2] vec4; gradient [samples]; partials [ceil(samples / TEAMS)] vec4. A team of LANES threads takes a sample.
// Partner src/engine/gpu/pair_forward.rs, twin src/core/engine/cpu/pair_forward.rs.

#import dispatch
#import affinity
#import objective
#import status

struct Params {
    samples: u32,
    user_slots_at: u32,
    item_slots_at: u32,
    targets_at: u32,
    weights_at: u32,
    user_rows: u32,
    item_rows: u32,
    each: f32,
    rating_share: f32,
}

@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> users: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> items: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> head: array<vec4<f32>, 2>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> status: atomic<u32>;
@group(0) @binding(7) var<uniform> params: Params;

var<workgroup> sums: array<vec4<f32>, TEAMS>;

@compute @workgroup_size(TEAM_THREADS)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = linear_workgroup(workgroup, workgroups);
    let first = group * TEAMS;
    multiply_columns(slots_of(first + thread / LANES), thread);
    if (LANES > 1u) {
        workgroupBarrier();
    }
    if (thread < TEAMS) {
        sums[thread] = vec4<f32>(0.0);
        let sample = first + thread;
        let slots = slots_of(sample);
        if (slots.valid) {
            let wanted = bitcast<f32>(plan[params.targets_at + sample]);
            let weight = bitcast<f32>(plan[params.weights_at + sample]) * params.each;
            let a = affinity(slots, thread);
            let z = head[0].x * a + head[1].x;
            let slope = (sigmoid(z) - wanted) * weight * params.rating_share;
            gradient[sample] = head[0].x * slope;
            sums[thread] = vec4<f32>(loss(z, wanted) * weight, slope * a, slope, 0.0);
        }
    }
    workgroupBarrier();
    if (thread == 0u && first < params.samples) {
        var sum = vec4<f32>(0.0);
        for (var team = 0u; team < TEAMS; team++) {
            sum += sums[team];
        }
        partials[group] = sum;
    }
}
