// Update rows: gradient, catch-up and Adam for the touched rows of one page of a table.
//
//     sum          = sum over the row's samples s, in order, of gradient[s] * (1 | other_weight[other_slot[s]])
//     weight, m, v = caught up from last_step to the end of step t - 1
//     g            = sum + l2_share n weight                                  n: the row's samples in the batch
//     weight, m, v = Adam(g) at step t;  last_step = t                        the bias likewise
//
// Shapes: rows, first_piece [R], starts [R + 1], samples and other slots [samples] in `plan`; schedule [steps + 1] vec4;
// gradient [samples]; other [other_rows, FACTOR4], piece_sums [pieces, FACTOR4], records [page_rows, RECORD4] vec4.
// Rows with pieces add their piece sums in order instead of walking their samples. A team of LANES threads takes a row.
// Partner src/engine/gpu/update_rows.rs, twin src/engine/cpu/update_rows.rs.

#import dispatch
#import adam
#import catch_up
#import gradient_sum
#import status

struct Params {
    rows_at: u32,
    starts_at: u32,
    first_piece_at: u32,
    samples_at: u32,
    other_slots_at: u32,
    first_slot: u32,
    slots: u32,
    samples: u32,
    other_rows: u32,
    pieces: u32,
    first_row: u32,
    page_rows: u32,
    step: u32,
    lazy: u32,
    l2_share: f32,
}

@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> schedule: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read> other: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> piece_sums: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> records: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> status: atomic<u32>;
@group(0) @binding(7) var<uniform> params: Params;

// A row's samples, and its pieces if it has some.
struct Span {
    begin: u32,
    end: u32,
    first_piece: u32,
    pieces: u32,
}

fn sum_row(span: Span, column: u32) -> GradientSum {
    if (span.first_piece == NO_PIECE) {
        return sum_samples(span.begin, span.end, column);
    }
    var sum = GradientSum(vec4<f32>(0.0), 0.0);
    for (var piece = 0u; piece < span.pieces; piece++) {
        let at = (span.first_piece + piece) * FACTOR4;
        sum.bias += piece_sums[at].x;
        sum.weights += piece_sums[at + 1u + column];
    }
    return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let offset = linear_workgroup(workgroup, workgroups) * TEAMS + thread / LANES;
    let lane = thread % LANES;
    let slot = params.first_slot + offset;
    var row = 0u;
    var valid = offset < params.slots;
    if (valid) {
        row = plan[params.rows_at + slot];
        valid = row >= params.first_row && row - params.first_row < params.page_rows;
        if (!valid) {
            report(STATUS_BAD_ROW);
        }
    }
    let record = (row - params.first_row) * RECORD4;
    var header = vec4<f32>(0.0);
    if (valid) {
        header = records[record];
    }
    // All lanes of a team have read the header before one of them writes it.
    storageBarrier();
    if (!valid) {
        return;
    }

    let last = u32(header.w);
    if (last >= params.step) {
        report(STATUS_BAD_STEP);
        return;
    }
    let begin = plan[params.starts_at + slot];
    let end = plan[params.starts_at + slot + 1u];
    let span = Span(begin, end, plan[params.first_piece_at + slot], (end - begin + PIECE - 1u) / PIECE);
    let in_range = begin <= end && end <= params.samples;
    let has_sums = span.first_piece == NO_PIECE
        || (span.first_piece < params.pieces && span.pieces <= params.pieces - span.first_piece);
    if (!(in_range && has_sums)) {
        report(STATUS_BAD_SAMPLE);
        return;
    }
    let missed = catch_up(last, params.step - 1u, params.lazy != 0u);
    let step_size = schedule[params.step].x;
    let l2 = params.l2_share * f32(end - begin);

    for (var column = lane; column < DIM4; column += LANES) {
        let sum = sum_row(span, column);
        let at = record + 1u + column;
        var m = records[at + DIM4];
        var v = records[at + 2u * DIM4];
        let settled = settle(missed, records[at], m, v);
        m *= missed.m_decay;
        v *= missed.v_decay;
        records[at] = adam_step(settled, &m, &v, sum.weights + l2 * settled, step_size);
        records[at + DIM4] = m;
        records[at + 2u * DIM4] = v;
        if (column == 0u) {
            // The bias, as the first of four equal numbers.
            m = vec4<f32>(header.y);
            v = vec4<f32>(header.z);
            let settled = settle(missed, vec4<f32>(header.x), m, v);
            m *= missed.m_decay;
            v *= missed.v_decay;
            let bias = adam_step(settled, &m, &v, sum.bias + l2 * settled, step_size);
            records[record] = vec4<f32>(bias.x, m.x, v.x, f32(params.step));
        }
    }
}
