// Update rows: gradient and Adam for the touched rows of one page of a table.
//
//     sum    = sum over the row's samples s, in order, of gradient[s] * (1 | other_weight[other_slot[s]])
//     m, v   = decayed from last_step to the end of step t - 1;  weight = settled[slot], as `gather_rows` left it,
//     which has taken the bias's m and v and last_step along in its header
//     g      = sum + l2_share n weight                                        n: the row's samples in the batch
//     weight, m, v = Adam(g) at step t;  last_step = t                        the bias likewise
//
// Shapes: rows, first_piece [R], starts [R + 1], samples and other slots [samples] in `plan`; gradient [samples];
// other [other_rows, FACTOR4], settled [R, FACTOR4], piece_sums [pieces, FACTOR4], records [page_rows, RECORD4] vec4.
// Rows with pieces add their piece sums in order instead of walking their samples. A team of LANES threads takes a row.
// Partner src/engine/gpu/update_rows.rs, twin src/engine/cpu/update_rows.rs.

#import dispatch
#import adam
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
    step_size: f32,
    l2_share: f32,
}

@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read> other: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> settled: array<vec4<f32>>;
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

// What all columns of a row share.
struct Row {
    record: u32,
    factor: u32,
    // Whether a step has touched it: if not, m and v are zero and not even read.
    touched: bool,
    m_decay: f32,
    v_decay: f32,
    l2: f32,
}

fn sum_row(span: Span, first: u32) -> GradientSum {
    if (span.first_piece == NO_PIECE) {
        return sum_samples(span.begin, span.end, first);
    }
    var sum = GradientSum();
    for (var piece = 0u; piece < span.pieces; piece++) {
        let at = (span.first_piece + piece) * FACTOR4;
        let column = at + 1u + first;
        sum.bias += piece_sums[at].x;
        sum.weights[0] += piece_sums[column];
        if (has_column(first, 1u)) {
            sum.weights[1] += piece_sums[column + LANES];
        }
        if (has_column(first, 2u)) {
            sum.weights[2] += piece_sums[column + 2u * LANES];
        }
        if (has_column(first, 3u)) {
            sum.weights[3] += piece_sums[column + 3u * LANES];
        }
    }
    return sum;
}

fn update_column(row: Row, column: u32, sum: vec4<f32>) {
    let at = row.record + 1u + column;
    var m = vec4<f32>(0.0);
    var v = vec4<f32>(0.0);
    if (row.touched) {
        m = row.m_decay * records[at + DIM4];
        v = row.v_decay * records[at + 2u * DIM4];
    }
    let weight = settled[row.factor + 1u + column];
    records[at] = adam_step(weight, &m, &v, sum + row.l2 * weight, params.step_size);
    records[at + DIM4] = m;
    records[at + 2u * DIM4] = v;
}

fn update_bias(row: Row, sum: f32) {
    // The first of four equal numbers.
    let header = settled[row.factor];
    var m = vec4<f32>(row.m_decay * header.y);
    var v = vec4<f32>(row.v_decay * header.z);
    let bias = vec4<f32>(header.x);
    let after = adam_step(bias, &m, &v, sum + row.l2 * bias, params.step_size);
    records[row.record] = vec4<f32>(after.x, m.x, v.x, f32(params.step));
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let offset = linear_workgroup(workgroup, workgroups) * TEAMS + thread / LANES;
    let lane = thread % LANES;
    if (offset >= params.slots) {
        return;
    }
    let slot = params.first_slot + offset;
    let row_number = plan[params.rows_at + slot];
    if (row_number < params.first_row || row_number - params.first_row >= params.page_rows) {
        report(STATUS_BAD_ROW);
        return;
    }
    let last = u32(settled[slot * FACTOR4].w);
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
    let missed = select(f32(params.step - 1u - last), 0.0, params.lazy != 0u);
    let row = Row(
        (row_number - params.first_row) * RECORD4,
        slot * FACTOR4,
        last != 0u,
        exp2(missed * LOG2_BETA1),
        exp2(missed * LOG2_BETA2),
        params.l2_share * f32(end - begin),
    );
    for (var first = lane; first < DIM4; first += COLUMNS * LANES) {
        let sum = sum_row(span, first);
        update_column(row, first, sum.weights[0]);
        if (has_column(first, 1u)) {
            update_column(row, first + LANES, sum.weights[1]);
        }
        if (has_column(first, 2u)) {
            update_column(row, first + 2u * LANES, sum.weights[2]);
        }
        if (has_column(first, 3u)) {
            update_column(row, first + 3u * LANES, sum.weights[3]);
        }
        if (first == 0u) {
            update_bias(row, sum.bias);
        }
    }
}
