// Choice scores: how much each user of a step is drawn to each item that was drawn.
//
//     scores[u, j] = dot(user[u], item[draw_slots[j]]) + appeal[draw_slots[j]]
//
// Shapes: draw slots [draws] in `plan`; users [users, FACTOR4], items [item_rows, FACTOR4], scores [users, ceil(draws / 4)] vec4;
// what fills up a user's last four is 0.
// A workgroup takes PRODUCT users by PRODUCT drawn items, see tile_product.
// Partner src/engine/gpu/choice_scores.rs, twin src/engine/cpu/choice_scores.rs.

#import dispatch
#import drawn
#import tile_product
#import status

struct Params {
    users: u32,
    draws: u32,
    draw_slots_at: u32,
    item_rows: u32,
}

@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> users: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> items: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> scores: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> status: atomic<u32>;
@group(0) @binding(5) var<uniform> params: Params;

fn user_four(user: u32, column: u32) -> vec4<f32> {
    if (user < params.users && column < DIM4) {
        return users[user * FACTOR4 + 1u + column];
    }
    return vec4<f32>(0.0);
}

fn item_four(row: u32, column: u32) -> vec4<f32> {
    if (row != NO_ROW && column < DIM4) {
        return items[row + 1u + column];
    }
    return vec4<f32>(0.0);
}

fn appeal(row: u32) -> f32 {
    if (row != NO_ROW) {
        return items[row].x;
    }
    return 0.0;
}

// Writes the scores of a user for the thread's columns.
fn store(user: u32, four: u32, first: vec4<f32>, second: vec4<f32>) {
    let fours = (params.draws + 3u) / 4u;
    if (user < params.users && four < fours) {
        scores[user * fours + four] = first;
    }
    if (user < params.users && four + FOURS / 2u < fours) {
        scores[user * fours + four + FOURS / 2u] = second;
    }
}

fn drawn_rows(first: u32) -> vec4<u32> {
    return vec4<u32>(drawn_row(first), drawn_row(first + 1u), drawn_row(first + 2u), drawn_row(first + 3u));
}

fn appeals(first: u32) -> vec4<f32> {
    let rows = drawn_rows(first);
    return vec4<f32>(appeal(rows.x), appeal(rows.y), appeal(rows.z), appeal(rows.w));
}

@compute @workgroup_size(PRODUCT_THREADS)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let tiles = (params.draws + PRODUCT - 1u) / PRODUCT;
    let linear = linear_workgroup(workgroup, workgroups);
    let first_user = linear / tiles * PRODUCT;
    let first_draw = linear % tiles * PRODUCT;

    // The rows that this thread hands to the others.
    let user = first_user + thread % FOURS * 4u;
    let rows = drawn_rows(first_draw + thread % FOURS * 4u);
    let row_four = thread / (FOURS / 2u);
    let column_four = thread % (FOURS / 2u);
    var sums = Sums();
    for (var section = 0u; section < DIM4; section += SECTION / 4u) {
        let column = section + thread / FOURS;
        share_left_rows(
            mat4x4<f32>(
                user_four(user, column),
                user_four(user + 1u, column),
                user_four(user + 2u, column),
                user_four(user + 3u, column),
            ),
            thread,
        );
        share_right_rows(
            mat4x4<f32>(
                item_four(rows.x, column),
                item_four(rows.y, column),
                item_four(rows.z, column),
                item_four(rows.w, column),
            ),
            thread,
        );
        workgroupBarrier();
        multiply_section(&sums, row_four, column_four);
        workgroupBarrier();
    }

    let four = first_draw / 4u + column_four;
    let first = appeals(4u * four);
    let second = appeals(4u * (four + FOURS / 2u));
    let top = first_user + 4u * row_four;
    let below = top + PRODUCT / 2u;
    store(top, four, sums.products[0] + first, sums.products[1] + second);
    store(top + 1u, four, sums.products[2] + first, sums.products[3] + second);
    store(top + 2u, four, sums.products[4] + first, sums.products[5] + second);
    store(top + 3u, four, sums.products[6] + first, sums.products[7] + second);
    store(below, four, sums.products[8] + first, sums.products[9] + second);
    store(below + 1u, four, sums.products[10] + first, sums.products[11] + second);
    store(below + 2u, four, sums.products[12] + first, sums.products[13] + second);
    store(below + 3u, four, sums.products[14] + first, sums.products[15] + second);
}
