// The gradient of a row, summed over some of its samples in order, for one column of four weights and for the bias.
// The importing file binds `plan`, `gradient` and `other` (compact rows of the other side) and has `params.samples_at`,
// `params.other_slots_at`, `params.samples`, `params.other_rows`.

struct GradientSum {
    weights: vec4<f32>,
    bias: f32,
}

// Samples `begin..end` of the list of samples grouped by row.
fn sum_samples(begin: u32, end: u32, column: u32) -> GradientSum {
    var sum = GradientSum(vec4<f32>(0.0), 0.0);
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
        sum.bias += slope;
        sum.weights += slope * other[slot * FACTOR4 + 1u + column];
    }
    return sum;
}
