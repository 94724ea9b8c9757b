// Choice scores: how much each user of a step is drawn to each item that was drawn.
//
//     scores[u, j] = dot(user[u], item[draw_slots[j]]) + appeal[draw_slots[j]] (+ draw_offset[j] with softmax)
//
// Shapes: draw slots, draw offsets [draws] in `plan`; users [users, FACTOR4], items [item_rows, FACTOR4] vec4; scores
// [users, ceil(draws / 4)] vec4, what fills up a user's last four is FILLER; and one vec4 that holds nothing.
// A workgroup takes PRODUCT_ROWS users by PRODUCT_COLUMNS drawn items, a thread a user, see tile_product. A launch takes some
// sections of PRODUCT_TERMS columns; the first begins with the appeals, those that follow add to what is there.
// Partner src/engine/gpu/choice_scores.rs, twin src/core/engine/cpu/choice_scores.rs.

#import dispatch
#import drawn
#import tile_product
#import status

struct Params {
    users: u32,
    draws: u32,
    draw_slots_at: u32,
    draw_offsets_at: u32,
    item_rows: u32,
    // The launch's sections: the first and how many.
    first_section: u32,
    sections: u32,
}

@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> users: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> items: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> scores: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> status: atomic<u32>;
@group(0) @binding(5) var<uniform> params: Params;

// Fours of columns in a section of terms.
const SECTION_FOURS: u32 = PRODUCT_TERMS / 4u;

// Of each column, by fours.
var<workgroup> appeals: array<vec4<f32>, PRODUCT_FOURS>;

// A four of an item's compact row, 0 of an item that is not there.
fn item_four(slot: u32, four: u32) -> vec4<f32> {
    let last = params.item_rows - 1u;
    return select(vec4<f32>(0.0), items[min(slot, last) * FACTOR4 + four], slot <= last);
}

fn appeal(draw: u32, slot: u32) -> f32 {
    var appeal = item_four(slot, 0u).x;
    if (LOSS == SOFTMAX) {
        appeal += bitcast<f32>(plan[params.draw_offsets_at + min(draw, params.draws - 1u)]);
    }
    return select(FILLER, appeal, draw < params.draws);
}

// Each thread brings four columns of four items, 0 past the last column.
fn share_items(slots: vec4<u32>, section: u32, thread: u32) {
    let four = thread / PRODUCT_FOURS;
    let column = section * SECTION_FOURS + four;
    let is_there = column < DIM4;
    let word = 1u + min(column, DIM4 - 1u);
    let rows = transpose(mat4x4<f32>(
        item_four(slots.x, word),
        item_four(slots.y, word),
        item_four(slots.z, word),
        item_four(slots.w, word),
    ));
    let at = 4u * four * PRODUCT_FOURS + thread % PRODUCT_FOURS;
    let zero = vec4<f32>(0.0);
    right[at] = select(zero, rows[0], is_there);
    right[at + PRODUCT_FOURS] = select(zero, rows[1], is_there);
    right[at + 2u * PRODUCT_FOURS] = select(zero, rows[2], is_there);
    right[at + 3u * PRODUCT_FOURS] = select(zero, rows[3], is_there);
}

fn add_columns(sums: Sums, user: u32, section: u32, four: u32) -> Sums {
    var more = sums;
    if (four < DIM4) {
        let column = section * SECTION_FOURS + four;
        more = add_terms(sums, users[user * FACTOR4 + 1u + min(column, DIM4 - 1u)], four);
    }
    return more;
}

fn add_section(sums: Sums, user: u32, section: u32) -> Sums {
    var more = sums;
    if (IN_LOOP != 0u) {
        for (var four = 0u; four < min(SECTION_FOURS, DIM4 - section * SECTION_FOURS); four++) {
            more = add_columns(more, user, section, four);
        }
    } else {
        more = add_columns(more, user, section, 0u);
        more = add_columns(more, user, section, 1u);
        more = add_columns(more, user, section, 2u);
        more = add_columns(more, user, section, 3u);
        more = add_columns(more, user, section, 4u);
        more = add_columns(more, user, section, 5u);
        more = add_columns(more, user, section, 6u);
        more = add_columns(more, user, section, 7u);
        more = add_columns(more, user, section, 8u);
        more = add_columns(more, user, section, 9u);
        more = add_columns(more, user, section, 10u);
        more = add_columns(more, user, section, 11u);
        more = add_columns(more, user, section, 12u);
        more = add_columns(more, user, section, 13u);
        more = add_columns(more, user, section, 14u);
        more = add_columns(more, user, section, 15u);
    }
    return more;
}

// Writes four scores, or adds them to what earlier launches have left. What is nobody's goes behind the last user's.
fn store(user: u32, four: u32, sum: vec4<f32>, appeal: vec4<f32>) {
    let fours = (params.draws + 3u) / 4u;
    let is_there = user < params.users && four < fours;
    let at = select(params.users * fours, user * fours + four, is_there);
    var score = sum + appeal;
    if (IN_TURN != 0u) {
        score = sum + select(scores[at], appeal, params.first_section == 0u);
    }
    scores[at] = score;
}

@compute @workgroup_size(PRODUCT_ROWS)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let groups = (params.draws + PRODUCT_COLUMNS - 1u) / PRODUCT_COLUMNS;
    let linear = linear_workgroup(workgroup, workgroups);
    let first_draw = linear % groups * PRODUCT_COLUMNS;
    let user = linear / groups * PRODUCT_ROWS + thread;
    // A thread without a user works on the last one and writes nothing.
    let reader = min(user, params.users - 1u);
    let own = first_draw + thread % PRODUCT_FOURS * 4u;
    let slots = vec4<u32>(drawn_slot(own), drawn_slot(own + 1u), drawn_slot(own + 2u), drawn_slot(own + 3u));
    let own_appeals = vec4<f32>(
        appeal(own, slots.x),
        appeal(own + 1u, slots.y),
        appeal(own + 2u, slots.z),
        appeal(own + 3u, slots.w),
    );
    if (thread < PRODUCT_FOURS) {
        appeals[thread] = own_appeals;
    }
    var sums = Sums();
    if (IN_LOOP != 0u) {
        for (var section = 0u; section < params.sections; section++) {
            share_items(slots, params.first_section + section, thread);
            workgroupBarrier();
            sums = add_section(sums, reader, params.first_section + section);
            workgroupBarrier();
        }
    } else {
        share_items(slots, params.first_section, thread);
        workgroupBarrier();
        sums = add_section(sums, reader, params.first_section);
    }
    let four = first_draw / 4u;
    store(user, four, sums.s0, appeals[0]);
    store(user, four + 1u, sums.s1, appeals[1]);
    store(user, four + 2u, sums.s2, appeals[2]);
    store(user, four + 3u, sums.s3, appeals[3]);
    store(user, four + 4u, sums.s4, appeals[4]);
    store(user, four + 5u, sums.s5, appeals[5]);
    store(user, four + 6u, sums.s6, appeals[6]);
    store(user, four + 7u, sums.s7, appeals[7]);
}
