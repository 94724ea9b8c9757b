// Update rows: gradient and the optimiser's step for the touched rows of one page of a table.
//
//     sum     = sum over the row's samples s, in order, of gradient[s] * (1 | other_weight[other_slot[s]])
//     sum    += sum over the pieces p, in order, of extra[p, e]      e: the row's extra gradient, if the plan names one
//     g       = clip(sum - drift + (l2_share n + pull) settled)      n: the row's samples in the batch; pull and, of the bias,
//                                                                    drift: of its prior
//     record  = step t of the optimiser with g, from the settled weights;  last_step = t      the bias likewise
//               Adam's m and v decay first from last_step to the end of step t - 1
//
// Where biases are not learned their sum counts as 0.
// Shapes: rows, first_piece [R], pulls [R, 3] (bias, embedding, drift; none without a prior), extras [R] (none without extra
// gradients), starts [R + 1], samples and other slots [samples] in `plan`; gradient [samples]; other [other_rows, FACTOR4];
// settled [R, FACTOR4], from `gather_rows`: the rows at the end of step t - 1, with the rest of the record's header in theirs;
// piece_sums [pieces, FACTOR4], extra [extra_pieces, extra_rows, FACTOR4], records [page_rows, RECORD4] vec4.
// Rows with pieces add their piece sums in order instead of walking their samples. A team of LANES threads takes a row.
// Partner src/engine/gpu/update_rows.rs, twin src/core/engine/cpu/update_rows.rs.

#import dispatch
#import adam
#import adagrad
#import sgd
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
    step_size: f32,
    clip: f32,
    l2_share: f32,
    pulls_at: u32,
    extras_at: u32,
    extra_rows: u32,
    extra_pieces: u32,
    learns_bias: u32,
}

@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read> other: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> settled: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> piece_sums: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> extra: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> records: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> status: atomic<u32>;
@group(0) @binding(8) var<uniform> params: Params;

// Each lane's sum of squares, where a team needs those of all its lanes.
var<workgroup> squares: array<f32, TEAM_THREADS>;

// A row's samples, and its pieces if it has some.
struct Span {
    begin: u32,
    end: u32,
    first_piece: u32,
    pieces: u32,
}

struct Row {
    // Where its record and its compact row begin.
    record: u32,
    factor: u32,
    span: Span,
    // Its extra gradient, or NO_EXTRA.
    extra: u32,
    // The step it was last touched at.
    last: u32,
    // How strongly bias and embedding are drawn to zero, and the bias to its centre.
    bias_decay: f32,
    decay: f32,
    drift: f32,
    // Whether it exists: what does not is reported and left alone.
    valid: bool,
}

fn sum_span(span: Span, first: u32) -> GradientSum {
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

fn sum_row(row: Row, first: u32) -> GradientSum {
    var sum = sum_span(row.span, first);
    if (row.extra == NO_EXTRA) {
        return sum;
    }
    for (var piece = 0u; piece < params.extra_pieces; piece++) {
        let at = (piece * params.extra_rows + row.extra) * FACTOR4;
        let column = at + 1u + first;
        sum.bias += extra[at].x;
        sum.weights[0] += extra[column];
        if (has_column(first, 1u)) {
            sum.weights[1] += extra[column + LANES];
        }
        if (has_column(first, 2u)) {
            sum.weights[2] += extra[column + 2u * LANES];
        }
        if (has_column(first, 3u)) {
            sum.weights[3] += extra[column + 3u * LANES];
        }
    }
    return sum;
}

// The clipped gradient of four weights.
fn clipped(decay: f32, sum: vec4<f32>, weight: vec4<f32>) -> vec4<f32> {
    return clamp(sum + decay * weight, vec4<f32>(-params.clip), vec4<f32>(params.clip));
}

fn column_squares(row: Row, column: u32, sum: vec4<f32>) -> vec4<f32> {
    let gradient = clipped(row.decay, sum, settled[row.factor + 1u + column]);
    return gradient * gradient;
}

// The sum of the squared gradients of a lane's columns.
fn sum_squares(row: Row, lane: u32) -> f32 {
    var total = vec4<f32>(0.0);
    for (var first = lane; first < DIM4; first += LANE_COLUMNS * LANES) {
        let sum = sum_row(row, first);
        total += column_squares(row, first, sum.weights[0]);
        if (has_column(first, 1u)) {
            total += column_squares(row, first + LANES, sum.weights[1]);
        }
        if (has_column(first, 2u)) {
            total += column_squares(row, first + 2u * LANES, sum.weights[2]);
        }
        if (has_column(first, 3u)) {
            total += column_squares(row, first + 3u * LANES, sum.weights[3]);
        }
    }
    return (total.x + total.y) + (total.z + total.w);
}

// Adagrad's sum for the embedding of a row, after this step. All threads of a workgroup call it.
fn grown_row_sum(row: Row, lane: u32, thread: u32) -> f32 {
    var total = 0.0;
    if (row.valid) {
        total = sum_squares(row, lane);
    }
    if (LANES > 1u) {
        squares[thread] = total;
        workgroupBarrier();
        total = 0.0;
        for (var at = thread - lane; at < thread - lane + LANES; at++) {
            total += squares[at];
        }
    }
    return settled[row.factor].z + total / f32(4u * DIM4);
}

// How much is left of m and v at the end of the step before this one, as powers of the steps that the row has missed.
fn decays(row: Row) -> vec2<f32> {
    if (OPTIMIZER != ADAM || !row.valid) {
        return vec2<f32>(1.0);
    }
    let missed = f32(params.step - 1u - row.last);
    return vec2<f32>(exp2(missed * LOG2_BETA1), exp2(missed * LOG2_BETA2));
}

fn update_column(row: Row, decay: vec2<f32>, step_size: f32, column: u32, sum: vec4<f32>) {
    let at = row.record + 1u + column;
    let weight = settled[row.factor + 1u + column];
    let gradient = clipped(row.decay, sum, weight);
    if (OPTIMIZER == SGD || OPTIMIZER == ADAGRAD) {
        // Adagrad divides all columns by the same root: its step size has it in.
        records[at] = sgd_step(weight, gradient, step_size);
        return;
    }
    var m = vec4<f32>(0.0);
    var v = vec4<f32>(0.0);
    if (row.last != 0u) {
        // Of a row that no step has touched m and v are zero and not even read.
        m = decay.x * records[at + DIM4];
        v = decay.y * records[at + 2u * DIM4];
    }
    records[at] = adam_step(weight, &m, &v, gradient, step_size);
    records[at + DIM4] = m;
    records[at + 2u * DIM4] = v;
}

// The bias and its state, as the first of four equal numbers, and the step.
fn update_header(row: Row, decay: vec2<f32>, row_sum: f32, sum: f32) {
    let header = settled[row.factor];
    let bias = vec4<f32>(header.x);
    let gradient = clipped(row.bias_decay, vec4<f32>(sum), bias);
    let step = f32(params.step);
    if (OPTIMIZER == SGD) {
        records[row.record] = vec4<f32>(sgd_step(bias, gradient, params.step_size).x, 0.0, 0.0, step);
    } else if (OPTIMIZER == ADAGRAD) {
        var bias_sum = vec4<f32>(header.y);
        let after = adagrad_step(bias, &bias_sum, gradient, params.step_size);
        records[row.record] = vec4<f32>(after.x, bias_sum.x, row_sum, step);
    } else {
        var m = vec4<f32>(decay.x * header.y);
        var v = vec4<f32>(decay.y * header.z);
        let after = adam_step(bias, &m, &v, gradient, params.step_size);
        records[row.record] = vec4<f32>(after.x, m.x, v.x, step);
    }
}

// What the plan says of a row; reports one that cannot be.
fn find_row(offset: u32) -> Row {
    var row = Row(0u, 0u, Span(0u, 0u, NO_PIECE, 0u), NO_EXTRA, 0u, 0.0, 0.0, 0.0, false);
    if (offset >= params.slots) {
        return row;
    }
    let slot = params.first_slot + offset;
    let number = plan[params.rows_at + slot];
    if (number < params.first_row || number - params.first_row >= params.page_rows) {
        report(STATUS_BAD_ROW);
        return row;
    }
    row.record = (number - params.first_row) * RECORD4;
    row.factor = slot * FACTOR4;
    row.last = u32(settled[row.factor].w);
    if (row.last >= params.step) {
        report(STATUS_BAD_STEP);
        return row;
    }
    let begin = plan[params.starts_at + slot];
    let end = plan[params.starts_at + slot + 1u];
    let pieces = (end - begin + PIECE - 1u) / PIECE;
    row.span = Span(begin, end, plan[params.first_piece_at + slot], pieces);
    row.decay = params.l2_share * f32(end - begin);
    row.bias_decay = row.decay;
    if (params.pulls_at != NO_PULLS) {
        let at = params.pulls_at + 3u * slot;
        row.bias_decay += bitcast<f32>(plan[at]);
        row.decay += bitcast<f32>(plan[at + 1u]);
        row.drift = bitcast<f32>(plan[at + 2u]);
    }
    let in_range = begin <= end && end <= params.samples;
    let has_sums = row.span.first_piece == NO_PIECE
        || (row.span.first_piece < params.pieces && pieces <= params.pieces - row.span.first_piece);
    row.valid = in_range && has_sums;
    if (!row.valid) {
        report(STATUS_BAD_SAMPLE);
    }
    if (params.extras_at != NO_EXTRAS) {
        row.extra = plan[params.extras_at + slot];
        if (!(row.extra == NO_EXTRA || row.extra < params.extra_rows)) {
            report(STATUS_BAD_SLOT);
            row.valid = false;
        }
    }
    return row;
}

@compute @workgroup_size(TEAM_THREADS)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let lane = thread % LANES;
    let row = find_row(linear_workgroup(workgroup, workgroups) * TEAMS + thread / LANES);
    var row_sum = 0.0;
    var step_size = params.step_size;
    if (OPTIMIZER == ADAGRAD) {
        row_sum = grown_row_sum(row, lane, thread);
        step_size /= sqrt(row_sum) + EPSILON;
    }
    if (!row.valid) {
        return;
    }
    let decay = decays(row);
    for (var first = lane; first < DIM4; first += LANE_COLUMNS * LANES) {
        let sum = sum_row(row, first);
        update_column(row, decay, step_size, first, sum.weights[0]);
        if (has_column(first, 1u)) {
            update_column(row, decay, step_size, first + LANES, sum.weights[1]);
        }
        if (has_column(first, 2u)) {
            update_column(row, decay, step_size, first + 2u * LANES, sum.weights[2]);
        }
        if (has_column(first, 3u)) {
            update_column(row, decay, step_size, first + 3u * LANES, sum.weights[3]);
        }
        if (first == 0u) {
            update_header(row, decay, row_sum, select(0.0, sum.bias, params.learns_bias != 0u) - row.drift);
        }
    }
}
