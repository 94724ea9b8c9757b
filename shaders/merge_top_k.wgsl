// Merge top-k: up to FAN_IN ranked lists of a query into one, for many queries at once.
//
//     merged = the merged_len best of the lists, by key, ties by lower item; what is left over is NO_ITEM
//
// Shapes: lists [queries, lists, list_len] of (key, item); merged [queries, merged_lists, merged_len], of which this launch
// writes lists `first_merged..first_merged + groups` of each query.
//
// A thread takes one candidate. Its place in the merged list is its place in its own list plus the number of candidates
// of each other list that come before it, found by bisection: no thread waits for another.
// Partner src/engine/gpu/merge_top_k.rs, twin src/engine/cpu/merge_top_k.rs.

#import candidate
#import dispatch

struct Params {
    queries: u32,
    lists: u32,
    list_len: u32,
    groups: u32,
    merged_lists: u32,
    first_merged: u32,
    merged_len: u32,
    // Threads of a group: its candidates, or the places of its merged list where those are more.
    span: u32,
}

@group(0) @binding(0) var<storage, read> lists: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read_write> merged: array<vec2<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let linear = linear_workgroup(workgroup, workgroups) * WORKGROUP + thread;
    let query = linear / params.span / params.groups;
    if (query >= params.queries) {
        return;
    }
    let group = linear / params.span % params.groups;
    let first_list = query * params.lists + group * FAN_IN;
    let end_list = query * params.lists + min((group + 1u) * FAN_IN, params.lists);
    let position = linear % params.span;

    var candidate = vec2<u32>(NO_KEY, NO_ITEM);
    var place = position;
    let list = first_list + position / params.list_len;
    if (list < end_list) {
        place = position % params.list_len;
        candidate = lists[list * params.list_len + place];
        for (var other = first_list; other < end_list; other++) {
            if (other == list) {
                continue;
            }
            var low = 0u;
            var high = params.list_len;
            while (low < high) {
                let middle = (low + high) / 2u;
                let theirs = lists[other * params.list_len + middle];
                // Only two NO_ITEM can be alike; those of the earlier list come first.
                if (comes_before(theirs, candidate) || (all(theirs == candidate) && other < list)) {
                    low = middle + 1u;
                } else {
                    high = middle;
                }
            }
            place += low;
        }
    }
    if (place < params.merged_len) {
        let merged_list = query * params.merged_lists + params.first_merged + group;
        merged[merged_list * params.merged_len + place] = candidate;
    }
}
