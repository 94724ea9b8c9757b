// Sum pieces: the gradient sums of the pieces of long rows, first level of two.
//
//     sums[p] = sum over samples s of piece p, in order, of gradient[s] * (1, 0, 0, 0 | other_weight[other_slot[s]])
//
// Shapes: pieces [pieces, 2], samples and other slots [samples] in `plan`; gradient [samples];
// other [other_rows, FACTOR4], sums [pieces, FACTOR4] vec4. A team of LANES threads takes a piece.
// Partner src/engine/gpu/sum_pieces.rs, twin src/core/engine/cpu/sum_pieces.rs.

#import dispatch
#import gradient_sum
#import status

struct Params {
    pieces_at: u32,
    pieces: u32,
    samples_at: u32,
    samples: u32,
    other_slots_at: u32,
    other_rows: u32,
}

@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read> other: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> sums: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> status: atomic<u32>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(TEAM_THREADS)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let piece = linear_workgroup(workgroup, workgroups) * TEAMS + thread / LANES;
    let lane = thread % LANES;
    if (piece >= params.pieces) {
        return;
    }
    let begin = plan[params.pieces_at + 2u * piece];
    let end = plan[params.pieces_at + 2u * piece + 1u];
    if (begin > end || end > params.samples) {
        report(STATUS_BAD_SAMPLE);
        return;
    }
    for (var first = lane; first < DIM4; first += LANE_COLUMNS * LANES) {
        let sum = sum_samples(begin, end, first);
        let column = piece * FACTOR4 + 1u + first;
        sums[column] = sum.weights[0];
        if (has_column(first, 1u)) {
            sums[column + LANES] = sum.weights[1];
        }
        if (has_column(first, 2u)) {
            sums[column + 2u * LANES] = sum.weights[2];
        }
        if (has_column(first, 3u)) {
            sums[column + 3u * LANES] = sum.weights[3];
        }
        if (first == 0u) {
            sums[piece * FACTOR4] = vec4<f32>(sum.bias, 0.0, 0.0, 0.0);
        }
    }
}
