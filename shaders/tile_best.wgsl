// Tile best: the key of the best unseen item of every tile, for many queries: all scores once, none of them stored.
//
//     score[q, i] = dot(user[q], item[i]) + item_bias[i]          a chain of fma by ascending column, then the bias
//     keys[q, t]  = max over the unseen items i of tile t of key(score[q, i]), or NO_KEY
//
// Shapes: users [groups, 4 DIM4 columns, QUERIES], filled up with zeros; seen [queries + 1 starts | items, ascending for each
// query]; items [blocks, DIM4, BLOCK] vec4, so that neighbouring threads read neighbouring words; biases [blocks, BLOCK];
// keys [queries, tiles].
//
// A workgroup multiplies a block of items with a group of QUERIES users, a thread two items with all of them: 32 sums in
// registers, and a vec4 of four users' weights from workgroup memory feeds eight multiplications.
// Partner src/engine/gpu/tile_best.rs, which says what is moved and why the columns are not a loop; twin
// src/core/engine/cpu/tile_best.rs.

#import candidate
#import dispatch
#import seen

struct Params {
    queries: u32,
    // Blocks of the items here, the items, and the first tile of all that they make up.
    blocks: u32,
    items: u32,
    first_tile: u32,
    tiles: u32,
}

@group(0) @binding(0) var<storage, read> users: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> seen: array<u32>;
@group(0) @binding(2) var<storage, read> items: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> biases: array<f32>;
@group(0) @binding(4) var<storage, read_write> keys: array<u32>;
@group(0) @binding(5) var<uniform> params: Params;

const THREADS: u32 = BLOCK / 2u;
const TILES: u32 = BLOCK / TILE;
// Of the threads that share a tile.
const TEAM: u32 = TILE / 2u;
const GROUP4: u32 = QUERIES / 4u;
// Fours of columns that workgroup memory holds at a time.
const SECTION: u32 = 16u;
// Threads that share the search for the best of a tile, for four users.
const FINDERS: u32 = THREADS / (GROUP4 * TILES);

var<workgroup> user_columns: array<vec4<f32>, SECTION * 4u * GROUP4>;
// One bit a user, for each item of the block.
var<workgroup> seen_by: array<atomic<u32>, BLOCK>;
var<workgroup> thread_best: array<vec4<u32>, GROUP4 * THREADS>;
var<workgroup> finder_best: array<vec4<u32>, THREADS>;

// Sums of a thread's two items, for four times four users.
struct Sums {
    a0: vec4<f32>,
    a1: vec4<f32>,
    a2: vec4<f32>,
    a3: vec4<f32>,
    b0: vec4<f32>,
    b1: vec4<f32>,
    b2: vec4<f32>,
    b3: vec4<f32>,
}

fn share_users(group: u32, section: u32, thread: u32) {
    let first = (group * DIM4 + section) * 4u * GROUP4;
    for (var at = thread; at < min(SECTION, DIM4 - section) * 4u * GROUP4; at += THREADS) {
        user_columns[at] = users[first + at];
    }
}

fn add_column(sums: Sums, column: u32, a: f32, b: f32) -> Sums {
    let u0 = user_columns[column * GROUP4];
    let u1 = user_columns[column * GROUP4 + 1u];
    let u2 = user_columns[column * GROUP4 + 2u];
    let u3 = user_columns[column * GROUP4 + 3u];
    return Sums(
        fma(u0, vec4(a), sums.a0),
        fma(u1, vec4(a), sums.a1),
        fma(u2, vec4(a), sums.a2),
        fma(u3, vec4(a), sums.a3),
        fma(u0, vec4(b), sums.b0),
        fma(u1, vec4(b), sums.b1),
        fma(u2, vec4(b), sums.b2),
        fma(u3, vec4(b), sums.b3),
    );
}

// Adds four columns of the items at `at` and `at + TEAM`.
fn add_four(sums: Sums, at: u32, section: u32, four: u32) -> Sums {
    var more = sums;
    if (section + four < DIM4) {
        let a = items[at + (section + four) * BLOCK];
        let b = items[at + (section + four) * BLOCK + TEAM];
        more = add_column(more, four * 4u, a.x, b.x);
        more = add_column(more, four * 4u + 1u, a.y, b.y);
        more = add_column(more, four * 4u + 2u, a.z, b.z);
        more = add_column(more, four * 4u + 3u, a.w, b.w);
    }
    return more;
}

// Adds the first section. Written out, so that no loop stands around it, see the partner.
fn add_first(sums: Sums, at: u32) -> Sums {
    var more = add_four(sums, at, 0u, 0u);
    more = add_four(more, at, 0u, 1u);
    more = add_four(more, at, 0u, 2u);
    more = add_four(more, at, 0u, 3u);
    more = add_four(more, at, 0u, 4u);
    more = add_four(more, at, 0u, 5u);
    more = add_four(more, at, 0u, 6u);
    more = add_four(more, at, 0u, 7u);
    more = add_four(more, at, 0u, 8u);
    more = add_four(more, at, 0u, 9u);
    more = add_four(more, at, 0u, 10u);
    more = add_four(more, at, 0u, 11u);
    more = add_four(more, at, 0u, 12u);
    more = add_four(more, at, 0u, 13u);
    more = add_four(more, at, 0u, 14u);
    more = add_four(more, at, 0u, 15u);
    return more;
}

// Keys of an item's scores for four users, of whom those with a bit in `without` do not count.
fn keys_of(sums: vec4<f32>, bias: f32, without: u32) -> vec4<u32> {
    let scores = sums + bias;
    let keys = vec4(key_of(scores.x), key_of(scores.y), key_of(scores.z), key_of(scores.w));
    let is_left_out = (vec4(without) & vec4(1u, 2u, 4u, 8u)) != vec4(0u);
    return select(keys, vec4(NO_KEY), is_left_out);
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    // Neighbouring workgroups share a block, so that it comes from memory once. A spare workgroup repeats the last block.
    let groups = (params.queries + QUERIES - 1u) / QUERIES;
    let linear = linear_workgroup(workgroup, workgroups);
    let group = linear % groups;
    let block = min(linear / groups, params.blocks - 1u);
    let first_item = params.first_tile * TILE + block * BLOCK;

    atomicStore(&seen_by[thread], 0u);
    atomicStore(&seen_by[thread + THREADS], 0u);
    share_users(group, 0u, thread);
    workgroupBarrier();
    let seer = group * QUERIES + thread;
    if (thread < QUERIES && seer < params.queries) {
        let end = seen[seer + 1u];
        for (var at = seen_from(seer, first_item); at < end; at++) {
            let offset = seen[at] - first_item;
            if (offset >= BLOCK) {
                break;
            }
            atomicOr(&seen_by[offset], 1u << thread);
        }
    }

    let offset = thread / TEAM * TILE + thread % TEAM;
    let at = block * DIM4 * BLOCK + offset;
    var sums = Sums();
    sums = add_first(sums, at);
    if (DIM4 > SECTION) {
        for (var section = SECTION; section < DIM4; section += SECTION) {
            workgroupBarrier();
            share_users(group, section, thread);
            workgroupBarrier();
            for (var four = 0u; four < SECTION; four++) {
                sums = add_four(sums, at, section, four);
            }
        }
    }

    workgroupBarrier();
    let bias_a = biases[block * BLOCK + offset];
    let bias_b = biases[block * BLOCK + offset + TEAM];
    let without_a = select(0xFFFFFFFFu, atomicLoad(&seen_by[offset]), block * BLOCK + offset < params.items);
    let without_b = select(0xFFFFFFFFu, atomicLoad(&seen_by[offset + TEAM]), block * BLOCK + offset + TEAM < params.items);
    thread_best[thread] = max(keys_of(sums.a0, bias_a, without_a), keys_of(sums.b0, bias_b, without_b));
    thread_best[thread + THREADS] =
        max(keys_of(sums.a1, bias_a, without_a >> 4u), keys_of(sums.b1, bias_b, without_b >> 4u));
    thread_best[thread + 2u * THREADS] =
        max(keys_of(sums.a2, bias_a, without_a >> 8u), keys_of(sums.b2, bias_b, without_b >> 8u));
    thread_best[thread + 3u * THREADS] =
        max(keys_of(sums.a3, bias_a, without_a >> 12u), keys_of(sums.b3, bias_b, without_b >> 12u));
    workgroupBarrier();

    // A finder takes a few neighbouring threads of one tile and four users: [GROUP4, TILES, FINDERS].
    let first = thread * (TEAM / FINDERS);
    var best = thread_best[first];
    for (var next = 1u; next < TEAM / FINDERS; next++) {
        best = max(best, thread_best[first + next]);
    }
    finder_best[thread] = best;
    workgroupBarrier();

    let tile = params.first_tile + block * TILES + thread % TILES;
    let member = thread / TILES;
    let query = group * QUERIES + member;
    if (member < QUERIES && query < params.queries && tile < params.tiles && linear / groups < params.blocks) {
        let finder = (member / 4u * TILES + thread % TILES) * FINDERS;
        var key = finder_best[finder][member % 4u];
        for (var next = 1u; next < FINDERS; next++) {
            key = max(key, finder_best[finder + next][member % 4u]);
        }
        keys[query * params.tiles + tile] = key;
    }
}
