// Choice sums: what the drawn items add to the gradients of both sides.
//
//     extra[0, u] = sum over drawn j of gradient[u, j] * (0 | item[draw_slots[j]])              for users
//     extra[p, j] = sum over the users u of piece p of gradient[u, j] * (1 | user[u])           for drawn items
//
// Shapes: draw slots [draws] in `plan`; gradient [users, ceil(draws / 4)] vec4, from `choice_gradient`; other
// [item_rows, 1 + dim4] or [users, 1 + dim4] vec4; extra [pieces, users or draws, 1 + dim4] vec4, and one that holds nothing.
// Whoever reads it adds up the pieces.
// A workgroup takes PRODUCT_ROWS rows by PRODUCT_COLUMNS columns of a piece, a thread a row, see tile_product. A launch takes
// some sections of PRODUCT_TERMS terms of each piece; those after the first add to what is there.
// Partner src/engine/gpu/choice_sums.rs, twin src/core/engine/cpu/choice_sums.rs.

#import dispatch
#import drawn
#import tile_product
#import status

struct Params {
    users: u32,
    draws: u32,
    draw_slots_at: u32,
    item_rows: u32,
    // Terms of a piece, a multiple of PRODUCT_TERMS, and pieces.
    piece_terms: u32,
    pieces: u32,
    // The launch's sections of each piece: the first and how many.
    first_section: u32,
    sections: u32,
    // Fours of a row's weights. No constant, so that one kernel serves every width.
    dim4: u32,
}

@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> other: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> extra: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> status: atomic<u32>;
@group(0) @binding(5) var<uniform> params: Params;

// No row of the sums.
const NO_ROW: u32 = 0xFFFFFFFFu;

struct RowSums {
    sums: Sums,
    // Of the gradients alone.
    bias: f32,
}

// Fours of a compact row.
fn factor4() -> u32 {
    return 1u + params.dim4;
}

// The four of a user's gradients that a drawn item's is in.
fn gradients_at(user: u32, draw: u32) -> u32 {
    return min(user, params.users - 1u) * ((params.draws + 3u) / 4u) + min(draw, params.draws - 1u) / 4u;
}

// A four of the columns of a term, 0 past the end of the piece or of the columns.
fn term_four(term: u32, end: u32, column: u32) -> vec4<f32> {
    var row = min(term, params.users - 1u);
    var is_there = term < end && column < params.dim4;
    if (FOR_USERS != 0u) {
        let slot = drawn_slot(term);
        row = min(slot, params.item_rows - 1u);
        is_there = is_there && slot < params.item_rows;
    }
    return select(vec4<f32>(0.0), other[row * factor4() + 1u + min(column, params.dim4 - 1u)], is_there);
}

// Each thread brings four fours of the section: those of the same columns.
fn share_other(first: u32, end: u32, first_column: u32, thread: u32) {
    let stride = PRODUCT_ROWS / PRODUCT_FOURS;
    let term = first + thread / PRODUCT_FOURS;
    let column = first_column + thread % PRODUCT_FOURS;
    right[thread] = term_four(term, end, column);
    right[thread + PRODUCT_ROWS] = term_four(term + stride, end, column);
    right[thread + 2u * PRODUCT_ROWS] = term_four(term + 2u * stride, end, column);
    right[thread + 3u * PRODUCT_ROWS] = term_four(term + 3u * stride, end, column);
}

// A user's gradient of a drawn item, 0 past the end of the piece.
fn user_gradient(user: u32, end: u32, draw: u32) -> f32 {
    return select(0.0, gradient[gradients_at(user, draw)][draw % 4u], user < end);
}

// Adds four terms of a row from `first + 4 four` on: drawn items to a user, users to a drawn item.
fn add_four(sums: RowSums, first: u32, end: u32, row: u32, four: u32) -> RowSums {
    let term = first + 4u * four;
    var more = sums;
    if (FOR_USERS != 0u) {
        // Past the last drawn item any gradients, which stand against zeros.
        more.sums = add_terms(sums.sums, gradient[gradients_at(row, term)], four);
    } else {
        let left = vec4<f32>(
            user_gradient(term, end, row),
            user_gradient(term + 1u, end, row),
            user_gradient(term + 2u, end, row),
            user_gradient(term + 3u, end, row),
        );
        more.sums = add_terms(sums.sums, left, four);
        more.bias += (left.x + left.y) + (left.z + left.w);
    }
    return more;
}

fn add_section(sums: RowSums, first: u32, end: u32, row: u32) -> RowSums {
    var more = sums;
    if (IN_LOOP != 0u) {
        for (var four = 0u; four < PRODUCT_TERMS / 4u; four++) {
            more = add_four(more, first, end, row, four);
        }
    } else {
        more = add_four(more, first, end, row, 0u);
        more = add_four(more, first, end, row, 1u);
        more = add_four(more, first, end, row, 2u);
        more = add_four(more, first, end, row, 3u);
        more = add_four(more, first, end, row, 4u);
        more = add_four(more, first, end, row, 5u);
        more = add_four(more, first, end, row, 6u);
        more = add_four(more, first, end, row, 7u);
        more = add_four(more, first, end, row, 8u);
        more = add_four(more, first, end, row, 9u);
        more = add_four(more, first, end, row, 10u);
        more = add_four(more, first, end, row, 11u);
        more = add_four(more, first, end, row, 12u);
        more = add_four(more, first, end, row, 13u);
        more = add_four(more, first, end, row, 14u);
        more = add_four(more, first, end, row, 15u);
    }
    return more;
}

// Writes four numbers of a row, or adds them to what earlier launches have left. What is nobody's goes behind the last row.
fn store(row: u32, column: u32, sum: vec4<f32>) {
    let rows = select(params.draws, params.users, FOR_USERS != 0u);
    let at = select(params.pieces * rows * factor4(), row * factor4() + column, row != NO_ROW && column < factor4());
    var total = sum;
    if (IN_TURN != 0u) {
        total += select(extra[at], vec4<f32>(0.0), params.first_section == 0u);
    }
    extra[at] = total;
}

@compute @workgroup_size(PRODUCT_ROWS)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let rows = select(params.draws, params.users, FOR_USERS != 0u);
    let terms = select(params.users, params.draws, FOR_USERS != 0u);
    let tiles = (rows + PRODUCT_ROWS - 1u) / PRODUCT_ROWS;
    let groups = (params.dim4 + PRODUCT_FOURS - 1u) / PRODUCT_FOURS;
    let linear = linear_workgroup(workgroup, workgroups);
    let first_column = linear % groups * PRODUCT_FOURS;
    let row = linear / groups % tiles * PRODUCT_ROWS + thread;
    let piece = linear / (groups * tiles);
    let end = min((piece + 1u) * params.piece_terms, terms);
    var first = piece * params.piece_terms + params.first_section * PRODUCT_TERMS;

    var sums = RowSums();
    if (IN_LOOP != 0u) {
        for (var section = 0u; section < params.sections; section++) {
            share_other(first, end, first_column, thread);
            workgroupBarrier();
            sums = add_section(sums, first, end, row);
            workgroupBarrier();
            first += PRODUCT_TERMS;
        }
    } else {
        share_other(first, end, first_column, thread);
        workgroupBarrier();
        sums = add_section(sums, first, end, row);
    }

    let own = select(NO_ROW, piece * rows + row, row < rows && piece < params.pieces);
    let column = 1u + first_column;
    store(own, column, sums.sums.s0);
    store(own, column + 1u, sums.sums.s1);
    store(own, column + 2u, sums.sums.s2);
    store(own, column + 3u, sums.sums.s3);
    store(own, column + 4u, sums.sums.s4);
    store(own, column + 5u, sums.sums.s5);
    store(own, column + 6u, sums.sums.s6);
    store(own, column + 7u, sums.sums.s7);
    if (first_column == 0u) {
        store(own, 0u, vec4<f32>(sums.bias, 0.0, 0.0, 0.0));
    }
}
