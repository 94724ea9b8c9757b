// Pair logits: the logit of each sample from the compact rows of both sides.
//
//     logit[b] = scale * (dot(user[b], item[b]) + user_bias[b] + item_bias[b]) + bias
//
// Shapes: slots [samples] each in `plan`; users [user_rows, FACTOR4], items [item_rows, FACTOR4] vec4; head [2] vec4;
// logits [samples]. A team of LANES threads takes a sample.
// Partner src/engine/gpu/pair_logits.rs, twin src/core/engine/cpu/pair_logits.rs.

#import dispatch
#import affinity
#import status

struct Params {
    samples: u32,
    user_slots_at: u32,
    item_slots_at: u32,
    user_rows: u32,
    item_rows: u32,
}

@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> users: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> items: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> head: array<vec4<f32>, 2>;
@group(0) @binding(4) var<storage, read_write> logits: array<f32>;
@group(0) @binding(5) var<storage, read_write> status: atomic<u32>;
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(TEAM_THREADS)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let first = linear_workgroup(workgroup, workgroups) * TEAMS;
    multiply_columns(slots_of(first + thread / LANES), thread);
    if (LANES > 1u) {
        workgroupBarrier();
    }
    if (thread < TEAMS) {
        let slots = slots_of(first + thread);
        if (slots.valid) {
            logits[first + thread] = head[0].x * affinity(slots, thread) + head[1].x;
        }
    }
}
