// Select top-k: the k largest keys of each query, with their positions, in the order of the positions.
//
//     chosen = the k best by key, ties by lower position; NO_KEY is never chosen, and what is left over is (NO_KEY, NO_PLACE)
//
// Shapes: keys [queries, count]; chosen [queries, k] of (key, position).
//
// A workgroup serves one query. Four rounds find the k-th largest key byte by byte, from the top: how often each value of the
// byte occurs among the keys that begin like it, counted with integer atomics, whose order does not matter. Then each thread
// takes a run of neighbouring positions, and a running sum says where its chosen ones go.
// Partner src/engine/gpu/select_top_k.rs, twin src/core/engine/cpu/select_top_k.rs. Source: radix selection, for example T. Alabi
// and others, Fast k-selection algorithms for graphics processing units, JEA 17 (2012).

#import dispatch

struct Params {
    queries: u32,
    count: u32,
    k: u32,
}

@group(0) @binding(0) var<storage, read> keys: array<u32>;
@group(0) @binding(1) var<storage, read_write> chosen: array<vec2<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

// One thread for each value of a byte.
const THREADS: u32 = 256u;

var<workgroup> occurs: array<atomic<u32>, THREADS>;
var<workgroup> running: array<vec2<u32>, THREADS>;
var<workgroup> byte: u32;
var<workgroup> above: u32;

// Makes `running` the sum up to and with each place; called by all threads together.
fn sum_up(thread: u32) {
    for (var reach = 1u; reach < THREADS; reach *= 2u) {
        workgroupBarrier();
        let before = select(vec2(0u), running[max(thread, reach) - reach], thread >= reach);
        workgroupBarrier();
        running[thread] += before;
    }
    workgroupBarrier();
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let query = linear_workgroup(workgroup, workgroups);
    // The same for all threads of a workgroup.
    if (query >= params.queries) {
        return;
    }
    let first = query * params.count;

    // The k-th largest key begins like `found` in the bits of `known`; of the keys that do, the `wanted` largest are chosen.
    var found = 0u;
    var known = 0u;
    var wanted = min(params.k, params.count);
    for (var round = 0u; round < 4u; round++) {
        let shift = 24u - 8u * round;
        atomicStore(&occurs[thread], 0u);
        workgroupBarrier();
        for (var at = thread; at < params.count; at += THREADS) {
            let key = keys[first + at];
            if ((key & known) == found) {
                atomicAdd(&occurs[(key >> shift) & 255u], 1u);
            }
        }
        workgroupBarrier();
        // From the largest value down.
        let value = THREADS - 1u - thread;
        let times = atomicLoad(&occurs[value]);
        running[thread] = vec2(times, 0u);
        sum_up(thread);
        let reached = running[thread].x;
        if (reached >= wanted && reached - times < wanted) {
            byte = value;
            above = reached - times;
        }
        workgroupBarrier();
        found |= byte << shift;
        known |= 255u << shift;
        wanted -= above;
        workgroupBarrier();
    }

    // Above the found key or like it, in this thread's run.
    let run = (params.count + THREADS - 1u) / THREADS;
    let begin = first + min(thread * run, params.count);
    let end = first + min((thread + 1u) * run, params.count);
    var counts = vec2(0u);
    for (var at = begin; at < end; at++) {
        let key = keys[at];
        counts += select(vec2(0u), vec2(1u), vec2(key > max(found, NO_KEY), key == found && key > NO_KEY));
    }
    running[thread] = counts;
    sum_up(thread);
    let total = running[THREADS - 1u];
    var places = running[thread] - counts;
    for (var at = begin; at < end; at++) {
        let key = keys[at];
        let place = query * params.k + places.x + min(places.y, wanted);
        if (key > max(found, NO_KEY)) {
            chosen[place] = vec2(key, at - first);
            places.x += 1u;
        } else if (key == found && key > NO_KEY) {
            if (places.y < wanted) {
                chosen[place] = vec2(key, at - first);
            }
            places.y += 1u;
        }
    }
    for (var place = total.x + min(total.y, wanted) + thread; place < params.k; place += THREADS) {
        chosen[query * params.k + place] = vec2(NO_KEY, NO_PLACE);
    }
}
