// The product of two matrices, PRODUCT_COLUMNS columns a workgroup, PRODUCT_TERMS terms at a time: a thread has the sums of one
// row in registers.
//
//     sums[c] += left[t] * right[t, c]        a chain of fma by ascending term
//
// What of the right matrix all threads need stands in workgroup memory. Where that is read at a constant index, outside of any
// loop, branch or early return, Mesa's software driver has it in one instruction, and in dozens elsewhere: so for such a driver
// the terms are written out, and whoever imports this has no branch around them. For a card they are a loop: written out within
// the one over sections they took Mesa 9 to 20 seconds to compile. See src/engine/gpu/choice_scores.rs.

// Fours of columns.
const PRODUCT_FOURS: u32 = PRODUCT_COLUMNS / 4u;

// [PRODUCT_TERMS, PRODUCT_FOURS]
var<workgroup> right: array<vec4<f32>, PRODUCT_TERMS * PRODUCT_FOURS>;

// Of each four of columns.
struct Sums {
    s0: vec4<f32>,
    s1: vec4<f32>,
    s2: vec4<f32>,
    s3: vec4<f32>,
    s4: vec4<f32>,
    s5: vec4<f32>,
    s6: vec4<f32>,
    s7: vec4<f32>,
}

fn add_term(sums: Sums, left: f32, term: u32) -> Sums {
    let x = vec4<f32>(left);
    let at = term * PRODUCT_FOURS;
    return Sums(
        fma(x, right[at], sums.s0),
        fma(x, right[at + 1u], sums.s1),
        fma(x, right[at + 2u], sums.s2),
        fma(x, right[at + 3u], sums.s3),
        fma(x, right[at + 4u], sums.s4),
        fma(x, right[at + 5u], sums.s5),
        fma(x, right[at + 6u], sums.s6),
        fma(x, right[at + 7u], sums.s7),
    );
}

// Adds four terms, the first of which is `4 four`.
fn add_terms(sums: Sums, left: vec4<f32>, four: u32) -> Sums {
    var more = add_term(sums, left.x, 4u * four);
    more = add_term(more, left.y, 4u * four + 1u);
    more = add_term(more, left.z, 4u * four + 2u);
    return add_term(more, left.w, 4u * four + 3u);
}
