// The gradient of a row, summed over some of its samples in order: for the bias, and for the columns `first`,
// `first + LANES`, ... of four weights, LANE_COLUMNS of them (at most 4, and none past the end), so that a sample is looked up
// once for all of them. Written out instead of looped over: drivers keep only constant indices in registers.
// The importing file binds `plan`, `gradient` and `other` (compact rows of the other side) and has `params.samples_at`,
// `params.other_slots_at`, `params.samples`, `params.other_rows`.

struct GradientSum {
    weights: array<vec4<f32>, 4>,
    bias: f32,
}

// Whether a lane that begins at column `first` has that many columns more in this pass.
fn has_column(first: u32, more: u32) -> bool {
    return LANE_COLUMNS > more && first + more * LANES < DIM4;
}

// Samples `begin..end` of the list of samples grouped by row.
fn sum_samples(begin: u32, end: u32, first: u32) -> GradientSum {
    var sum = GradientSum();
    for (var at = begin; at < end; at++) {
        let sample = plan[params.samples_at + at];
        if (sample >= params.samples) {
            report(STATUS_BAD_SAMPLE);
            continue;
        }
        let slot = plan[params.other_slots_at + sample];
        if (slot >= params.other_rows) {
            report(STATUS_BAD_SLOT);
            continue;
        }
        let slope = gradient[sample];
        let column = slot * FACTOR4 + 1u + first;
        sum.bias += slope;
        sum.weights[0] += slope * other[column];
        if (has_column(first, 1u)) {
            sum.weights[1] += slope * other[column + LANES];
        }
        if (has_column(first, 2u)) {
            sum.weights[2] += slope * other[column + 2u * LANES];
        }
        if (has_column(first, 3u)) {
            sum.weights[3] += slope * other[column + 3u * LANES];
        }
    }
    return sum;
}
