// The product of two matrices, one tile of PRODUCT rows and PRODUCT columns a workgroup, a section of terms at a time:
//
//     sum[r, c] += sum over the terms t of the section, in order, of left[t, r] * right[t, c]
//
// A thread sums eight rows by eight columns in registers: four vec4 from workgroup memory then feed sixteen multiplications of
// four numbers. Its rows are fours `row_four` and `row_four + FOURS / 2` of the tile, its columns likewise, so that
// neighbouring threads read neighbouring words. Written out instead of looped over: drivers keep only constant indices in
// registers.
// A section: all threads call `share_...` for both sides, a barrier, all call `multiply_section`, a barrier.

const PRODUCT_THREADS: u32 = PRODUCT / 8u * PRODUCT / 8u;
// Fours of rows or columns of a tile.
const FOURS: u32 = PRODUCT / 4u;
// Terms of a section, and threads that share a four of its terms.
const SECTION: u32 = 4u * PRODUCT_THREADS / FOURS;

// [SECTION, FOURS]
var<workgroup> left: array<vec4<f32>, SECTION * FOURS>;
var<workgroup> right: array<vec4<f32>, SECTION * FOURS>;

struct Sums {
    // For each of the thread's rows its first and its second four columns.
    products: array<vec4<f32>, 16>,
    // The sums of `left` alone, of the first and of the second four rows.
    rows: array<vec4<f32>, 2>,
}

// Of four rows of the left matrix by terms, `four` of the section's: what of them stands in each term.
fn share_left_rows(rows: mat4x4<f32>, thread: u32) {
    let terms = transpose(rows);
    let at = thread / FOURS * 4u * FOURS + thread % FOURS;
    left[at] = terms[0];
    left[at + FOURS] = terms[1];
    left[at + 2u * FOURS] = terms[2];
    left[at + 3u * FOURS] = terms[3];
}

fn share_right_rows(rows: mat4x4<f32>, thread: u32) {
    let terms = transpose(rows);
    let at = thread / FOURS * 4u * FOURS + thread % FOURS;
    right[at] = terms[0];
    right[at + FOURS] = terms[1];
    right[at + 2u * FOURS] = terms[2];
    right[at + 3u * FOURS] = terms[3];
}

fn add_term(sums: ptr<function, Sums>, term: u32, row_four: u32, column_four: u32) {
    let a = left[term * FOURS + row_four];
    let b = left[term * FOURS + row_four + FOURS / 2u];
    let x = right[term * FOURS + column_four];
    let y = right[term * FOURS + column_four + FOURS / 2u];
    (*sums).products[0] = fma(vec4<f32>(a.x), x, (*sums).products[0]);
    (*sums).products[1] = fma(vec4<f32>(a.x), y, (*sums).products[1]);
    (*sums).products[2] = fma(vec4<f32>(a.y), x, (*sums).products[2]);
    (*sums).products[3] = fma(vec4<f32>(a.y), y, (*sums).products[3]);
    (*sums).products[4] = fma(vec4<f32>(a.z), x, (*sums).products[4]);
    (*sums).products[5] = fma(vec4<f32>(a.z), y, (*sums).products[5]);
    (*sums).products[6] = fma(vec4<f32>(a.w), x, (*sums).products[6]);
    (*sums).products[7] = fma(vec4<f32>(a.w), y, (*sums).products[7]);
    (*sums).products[8] = fma(vec4<f32>(b.x), x, (*sums).products[8]);
    (*sums).products[9] = fma(vec4<f32>(b.x), y, (*sums).products[9]);
    (*sums).products[10] = fma(vec4<f32>(b.y), x, (*sums).products[10]);
    (*sums).products[11] = fma(vec4<f32>(b.y), y, (*sums).products[11]);
    (*sums).products[12] = fma(vec4<f32>(b.z), x, (*sums).products[12]);
    (*sums).products[13] = fma(vec4<f32>(b.z), y, (*sums).products[13]);
    (*sums).products[14] = fma(vec4<f32>(b.w), x, (*sums).products[14]);
    (*sums).products[15] = fma(vec4<f32>(b.w), y, (*sums).products[15]);
    (*sums).rows[0] += a;
    (*sums).rows[1] += b;
}

fn multiply_section(sums: ptr<function, Sums>, row_four: u32, column_four: u32) {
    for (var term = 0u; term < SECTION; term += 4u) {
        add_term(sums, term, row_four, column_four);
        add_term(sums, term + 1u, row_four, column_four);
        add_term(sums, term + 2u, row_four, column_four);
        add_term(sums, term + 3u, row_four, column_four);
    }
}
