// Tile scores: the keys of all items of each query's chosen tiles.
//
//     score[q, i]            = dot(user[q], item[i]) + item_bias[i]            in the very order of tile_best.wgsl
//     keys[q, slot * TILE + n] = key(score[q, i]) of item i = tile * TILE + n; NO_KEY if it is seen or does not exist
//
// Shapes: users, seen, items, biases as in tile_best.wgsl; chosen [queries, slots] of (key, tile); keys [queries, slots, TILE].
// A launch serves the tiles of one page; slots without a tile are served with the first.
//
// A workgroup takes one tile of one query, a thread an item.
// Partner src/engine/gpu/tile_scores.rs, twin src/core/engine/cpu/tile_scores.rs.

#import candidate
#import dispatch
#import seen

struct Params {
    queries: u32,
    slots: u32,
    // The items here, and the first tile of all that they make up.
    items: u32,
    first_tile: u32,
}

@group(0) @binding(0) var<storage, read> users: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> seen: array<u32>;
@group(0) @binding(2) var<storage, read> items: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> biases: array<f32>;
@group(0) @binding(4) var<storage, read> chosen: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read_write> keys: array<u32>;
@group(0) @binding(6) var<uniform> params: Params;

// Fours of columns that workgroup memory holds at a time: a column a thread.
const SECTION: u32 = TILE / 4u;

var<workgroup> user_columns: array<f32, TILE>;

fn share_user(query: u32, section: u32, thread: u32) {
    let column = section * 4u + thread;
    if (column < DIM4 * 4u) {
        let member = query % QUERIES;
        let row = query / QUERIES * DIM4 * 4u + column;
        user_columns[thread] = users[row * (QUERIES / 4u) + member / 4u][member % 4u];
    }
}

fn add_four(sum: f32, at: u32, section: u32, four: u32) -> f32 {
    var more = sum;
    if (section + four < DIM4) {
        let item = items[at + (section + four) * BLOCK];
        more = fma(user_columns[four * 4u], item.x, more);
        more = fma(user_columns[four * 4u + 1u], item.y, more);
        more = fma(user_columns[four * 4u + 2u], item.z, more);
        more = fma(user_columns[four * 4u + 3u], item.w, more);
    }
    return more;
}

fn add_section(sum: f32, at: u32, section: u32) -> f32 {
    var more = sum;
    for (var four = 0u; four < SECTION; four++) {
        more = add_four(more, at, section, four);
    }
    return more;
}

@compute @workgroup_size(TILE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    // A spare workgroup repeats the last slot's work.
    let linear = min(linear_workgroup(workgroup, workgroups), params.queries * params.slots - 1u);
    let query = linear / params.slots;
    let tile = chosen[linear].y;
    let is_left_over = tile == NO_PLACE;
    let local = tile - params.first_tile;
    let is_here = !is_left_over && tile >= params.first_tile && local * TILE < params.items;

    let offset = select(0u, local, is_here) * TILE + thread;
    let at = offset / BLOCK * DIM4 * BLOCK + offset % BLOCK;
    share_user(query, 0u, thread);
    workgroupBarrier();
    var sum = add_section(0.0, at, 0u);
    if (DIM4 > SECTION) {
        for (var section = SECTION; section < DIM4; section += SECTION) {
            workgroupBarrier();
            share_user(query, section, thread);
            workgroupBarrier();
            sum = add_section(sum, at, section);
        }
    }

    let item = params.first_tile * TILE + offset;
    let place = seen_from(query, item);
    let is_seen = place < seen[query + 1u] && seen[place] == item;
    let counts = is_here && offset < params.items && !is_seen;
    let key = select(NO_KEY, key_of(sum + biases[offset]), counts);
    if (is_here || (is_left_over && params.first_tile == 0u)) {
        keys[linear * TILE + thread] = key;
    }
}
