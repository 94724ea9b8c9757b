// Choice sums: what the drawn items add to the gradients of both sides.
//
//     extra[0, u] = sum over drawn j of gradient[u, j] * (0 | item[draw_slots[j]])              for users
//     extra[p, j] = sum over the users u of piece p of gradient[u, j] * (1 | user[u])           for drawn items
//
// Shapes: draw slots [draws] in `plan`; gradient [users, ceil(draws / 4)], from `choice_gradient`; other [item_rows, FACTOR4] or
// [users, FACTOR4]; extra [pieces, users or draws, FACTOR4]; vec4 each. Whoever reads it adds the pieces up.
// A workgroup takes PRODUCT rows by PRODUCT columns of a piece, see tile_product.
// Partner src/engine/gpu/choice_sums.rs, twin src/engine/cpu/choice_sums.rs.

#import dispatch
#import drawn
#import tile_product
#import status

struct Params {
    users: u32,
    draws: u32,
    draw_slots_at: u32,
    item_rows: u32,
    // 1: rows are users and terms drawn items; 0: the other way round.
    for_users: u32,
    // Terms of a piece, a multiple of SECTION, and pieces.
    piece_terms: u32,
    pieces: u32,
}

@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> other: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> extra: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> status: atomic<u32>;
@group(0) @binding(5) var<uniform> params: Params;

fn gradient_four(user: u32, four: u32) -> vec4<f32> {
    let fours = (params.draws + 3u) / 4u;
    if (user < params.users && four < fours) {
        return gradient[user * fours + four];
    }
    return vec4<f32>(0.0);
}

fn other_four(row: u32, column: u32) -> vec4<f32> {
    if (row != NO_ROW && column < DIM4) {
        return other[row + 1u + column];
    }
    return vec4<f32>(0.0);
}

// Where the compact row of a term begins.
fn term_row(term: u32) -> u32 {
    if (params.for_users != 0u) {
        return drawn_row(term);
    }
    return select(NO_ROW, term * FACTOR4, term < params.users);
}

// The gradients of a section of terms: users' rows are turned, drawn items' stand as they are wanted.
fn share_gradient(first_row: u32, term: u32, thread: u32) {
    if (params.for_users != 0u) {
        let user = first_row + thread % FOURS * 4u;
        let four = term / 4u + thread / FOURS;
        share_left_rows(
            mat4x4<f32>(
                gradient_four(user, four),
                gradient_four(user + 1u, four),
                gradient_four(user + 2u, four),
                gradient_four(user + 3u, four),
            ),
            thread,
        );
    } else {
        let user = term + thread / FOURS;
        let four = first_row / 4u + thread % FOURS;
        left[thread] = gradient_four(user, four);
        left[thread + PRODUCT_THREADS] = gradient_four(user + SECTION / 4u, four);
        left[thread + 2u * PRODUCT_THREADS] = gradient_four(user + SECTION / 2u, four);
        left[thread + 3u * PRODUCT_THREADS] = gradient_four(user + SECTION * 3u / 4u, four);
    }
}

fn share_other(first_column: u32, term: u32, thread: u32) {
    let row = term + thread / FOURS;
    let column = first_column + thread % FOURS;
    right[thread] = other_four(term_row(row), column);
    right[thread + PRODUCT_THREADS] = other_four(term_row(row + SECTION / 4u), column);
    right[thread + 2u * PRODUCT_THREADS] = other_four(term_row(row + SECTION / 2u), column);
    right[thread + 3u * PRODUCT_THREADS] = other_four(term_row(row + SECTION * 3u / 4u), column);
}

// Writes a row of a piece for the thread's columns; whoever has the first column writes the header.
fn store(piece: u32, row: u32, column: u32, first: vec4<f32>, second: vec4<f32>, sum: f32) {
    let rows = select(params.draws, params.users, params.for_users != 0u);
    if (!(piece < params.pieces && row < rows)) {
        return;
    }
    let at = (piece * rows + row) * FACTOR4;
    if (column == 0u) {
        extra[at] = vec4<f32>(select(sum, 0.0, params.for_users != 0u), 0.0, 0.0, 0.0);
    }
    if (column < DIM4) {
        extra[at + 1u + column] = first;
    }
    if (column + FOURS / 2u < DIM4) {
        extra[at + 1u + column + FOURS / 2u] = second;
    }
}

@compute @workgroup_size(PRODUCT_THREADS)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let rows = select(params.draws, params.users, params.for_users != 0u);
    let terms = select(params.users, params.draws, params.for_users != 0u);
    let row_tiles = (rows + PRODUCT - 1u) / PRODUCT;
    let column_tiles = (DIM4 + FOURS - 1u) / FOURS;
    let linear = linear_workgroup(workgroup, workgroups);
    let piece = linear / (row_tiles * column_tiles);
    let first_row = linear / column_tiles % row_tiles * PRODUCT;
    let first_column = linear % column_tiles * FOURS;
    let row_four = thread / (FOURS / 2u);
    let column_four = thread % (FOURS / 2u);
    let begin = piece * params.piece_terms;
    // A spare workgroup has no terms.
    let end = select(begin, min(begin + params.piece_terms, terms), piece < params.pieces);

    var sums = Sums();
    for (var term = begin; term < end; term += SECTION) {
        share_gradient(first_row, term, thread);
        share_other(first_column, term, thread);
        workgroupBarrier();
        multiply_section(&sums, row_four, column_four);
        workgroupBarrier();
    }

    let column = first_column + column_four;
    let top = first_row + 4u * row_four;
    let below = top + PRODUCT / 2u;
    store(piece, top, column, sums.products[0], sums.products[1], sums.rows[0].x);
    store(piece, top + 1u, column, sums.products[2], sums.products[3], sums.rows[0].y);
    store(piece, top + 2u, column, sums.products[4], sums.products[5], sums.rows[0].z);
    store(piece, top + 3u, column, sums.products[6], sums.products[7], sums.rows[0].w);
    store(piece, below, column, sums.products[8], sums.products[9], sums.rows[1].x);
    store(piece, below + 1u, column, sums.products[10], sums.products[11], sums.rows[1].y);
    store(piece, below + 2u, column, sums.products[12], sums.products[13], sums.rows[1].z);
    store(piece, below + 3u, column, sums.products[14], sums.products[15], sums.rows[1].w);
}
