// Score top-k: the best unseen items of one tile for a group of users, every item scored once.
//
//     score[i] = dot(user, item[i]) + item_bias[i]
//     list     = the list_len best of the tile, by score, ties by lower index; what is left over is NO_ITEM
//
// Shapes: users [queries, FACTOR4] vec4; seen [queries + 1 starts | items, ascending for each query];
// items [tiles, DIM4, TILE] vec4, so that neighbouring threads read neighbouring words; biases [tiles, TILE];
// lists [queries, tiles, list_len] of (key, item).
//
// A thread scores one item for QUERIES users, whose rows the workgroup shares. Then the workgroup sorts the tile for half of
// the users at a time (a bitonic network: Batcher, Sorting networks and their applications, AFIPS 1968).
// Partner src/engine/gpu/score_top_k.rs, twin src/engine/cpu/score_top_k.rs.

#import candidate
#import dispatch

struct Params {
    queries: u32,
    tiles: u32,
    first_item: u32,
    items: u32,
    list_len: u32,
}

@group(0) @binding(0) var<storage, read> users: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> seen: array<u32>;
@group(0) @binding(2) var<storage, read> items: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> biases: array<f32>;
@group(0) @binding(4) var<storage, read_write> lists: array<vec2<u32>>;
@group(0) @binding(5) var<uniform> params: Params;

// Columns of the users' rows that are shared at a time.
const COLUMNS: u32 = 16u;
// Users whose candidates are sorted at a time: all of them would not fit the workgroup memory that WebGPU grants.
const HALF: u32 = QUERIES / 2u;

var<workgroup> user_columns: array<vec4<f32>, COLUMNS * QUERIES>;
var<workgroup> candidates: array<vec2<u32>, HALF * TILE>;
// A query's seen items of this tile: their range in `seen`, then one bit an item.
var<workgroup> seen_begin: array<u32, QUERIES>;
var<workgroup> seen_end: array<u32, QUERIES>;
var<workgroup> seen_bits: array<atomic<u32>, QUERIES * TILE / 32u>;

// First position in `seen[begin..end]` that holds `item` or more.
fn lower_bound(begin: u32, end: u32, item: u32) -> u32 {
    var low = begin;
    var high = end;
    while (low < high) {
        let middle = (low + high) / 2u;
        if (seen[middle] < item) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return low;
}

// A u32 in the order of the scores, above NO_KEY. Both zeros are one.
fn key_of(score: f32) -> u32 {
    let bits = bitcast<u32>(select(score, 0.0, score == 0.0));
    let flipped = select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
    return max(flipped, NO_KEY + 1u);
}

// Sorts each user's TILE candidates; called by all threads together.
fn sort_candidates(thread: u32) {
    for (var run = 2u; run <= TILE; run *= 2u) {
        for (var stride = run / 2u; stride > 0u; stride /= 2u) {
            for (var pair = thread; pair < HALF * TILE / 2u; pair += TILE) {
                let low = pair / stride * stride * 2u + pair % stride;
                let first = candidates[low];
                let second = candidates[low + stride];
                // Every other run is sorted backwards, so that two of them make a bitonic one.
                let forwards = ((low % TILE) & run) == 0u;
                if (comes_before(second, first) == forwards) {
                    candidates[low] = second;
                    candidates[low + stride] = first;
                }
            }
            workgroupBarrier();
        }
    }
}

@compute @workgroup_size(TILE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    // Neighbouring workgroups share a tile, so that it comes from memory once.
    let groups = (params.queries + QUERIES - 1u) / QUERIES;
    let linear = linear_workgroup(workgroup, workgroups);
    let tile = linear / groups;
    let first_query = linear % groups * QUERIES;
    // The same for all threads of a workgroup.
    if (tile >= params.tiles) {
        return;
    }
    let queries = min(QUERIES, params.queries - first_query);
    let first_item = params.first_item + tile * TILE;

    if (thread < QUERIES) {
        var begin = 0u;
        var end = 0u;
        if (thread < queries) {
            let query = first_query + thread;
            let query_end = seen[query + 1u];
            begin = lower_bound(seen[query], query_end, first_item);
            end = lower_bound(begin, query_end, first_item + TILE);
        }
        seen_begin[thread] = begin;
        seen_end[thread] = end;
    }
    if (thread < QUERIES * TILE / 32u) {
        atomicStore(&seen_bits[thread], 0u);
    }
    workgroupBarrier();
    for (var query = 0u; query < queries; query++) {
        for (var at = seen_begin[query] + thread; at < seen_end[query]; at += TILE) {
            let bit = query * TILE + seen[at] - first_item;
            atomicOr(&seen_bits[bit / 32u], 1u << (bit % 32u));
        }
    }

    var low = vec4<f32>(0.0);
    var high = vec4<f32>(0.0);
    for (var first_column = 0u; first_column < DIM4; first_column += COLUMNS) {
        let columns = min(COLUMNS, DIM4 - first_column);
        workgroupBarrier();
        for (var at = thread; at < columns * QUERIES; at += TILE) {
            let query = min(first_query + at % QUERIES, params.queries - 1u);
            user_columns[at] = users[query * FACTOR4 + 1u + first_column + at / QUERIES];
        }
        workgroupBarrier();
        for (var column = 0u; column < columns; column++) {
            let item = items[(tile * DIM4 + first_column + column) * TILE + thread];
            let at = column * QUERIES;
            low += vec4<f32>(
                dot(user_columns[at], item),
                dot(user_columns[at + 1u], item),
                dot(user_columns[at + 2u], item),
                dot(user_columns[at + 3u], item),
            );
            high += vec4<f32>(
                dot(user_columns[at + 4u], item),
                dot(user_columns[at + 5u], item),
                dot(user_columns[at + 6u], item),
                dot(user_columns[at + 7u], item),
            );
        }
    }

    let bias = biases[tile * TILE + thread];
    let exists = tile * TILE + thread < params.items;
    for (var first = 0u; first < queries; first += HALF) {
        let scores = select(high, low, first == 0u) + bias;
        for (var number = 0u; number < HALF; number++) {
            let bit = (first + number) * TILE + thread;
            let is_seen = ((atomicLoad(&seen_bits[bit / 32u]) >> (bit % 32u)) & 1u) == 1u;
            let candidate = vec2<u32>(key_of(scores[number]), first_item + thread);
            let nothing = vec2<u32>(NO_KEY, NO_ITEM);
            candidates[number * TILE + thread] = select(nothing, candidate, exists && !is_seen);
        }
        workgroupBarrier();
        sort_candidates(thread);
        if (thread < params.list_len) {
            for (var number = 0u; number < min(HALF, queries - first); number++) {
                let list = (first_query + first + number) * params.tiles + tile;
                lists[list * params.list_len + thread] = candidates[number * TILE + thread];
            }
        }
        workgroupBarrier();
    }
}
