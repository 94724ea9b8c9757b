// Gather rows: the touched rows of one page of a table, brought to the end of step `now`, in a compact buffer.
//
//     compact[slot] = read_out(record[rows[slot]], now)
//
// The header of a compact row takes the rest of the record's header along as it is, for `update_rows`.
// Shapes: rows [slots] in `plan`; schedule [steps + 1]; records [page_rows, RECORD4]; compact [R, FACTOR4]; vec4 each.
// A team of LANES threads takes a row. Partner src/engine/gpu/gather_rows.rs, twin src/core/engine/cpu/gather_rows.rs.

#import dispatch
#import catch_up
#import status

struct Params {
    rows_at: u32,
    first_slot: u32,
    slots: u32,
    first_row: u32,
    page_rows: u32,
    now: u32,
    untouched_is_zero: u32,
}

@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> schedule: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> records: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> compact: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> status: atomic<u32>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(TEAM_THREADS)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let to_step = schedule[params.now];
    let offset = linear_workgroup(workgroup, workgroups) * TEAMS + thread / LANES;
    let lane = thread % LANES;
    if (offset >= params.slots) {
        return;
    }
    let slot = params.first_slot + offset;
    let row = plan[params.rows_at + slot];
    if (row < params.first_row || row - params.first_row >= params.page_rows) {
        report(STATUS_BAD_ROW);
        return;
    }
    let record = (row - params.first_row) * RECORD4;
    let factor = slot * FACTOR4;
    let header = records[record];
    let last = u32(header.w);
    if (last > params.now) {
        report(STATUS_BAD_STEP);
        return;
    }
    if (last == 0u || last == params.now || OPTIMIZER != ADAM) {
        // Nothing was missed: m and v are not even read.
        let keep = select(1.0, 0.0, last == 0u && params.untouched_is_zero != 0u);
        for (var column = 1u + lane; column <= DIM4; column += LANES) {
            compact[factor + column] = keep * records[record + column];
        }
        if (lane == 0u) {
            compact[factor] = vec4<f32>(keep * header.x, header.yzw);
        }
        return;
    }
    let missed = catch_up(last, schedule[last], params.now, to_step);
    for (var column = 1u + lane; column <= DIM4; column += LANES) {
        let weight = records[record + column];
        let m = records[record + DIM4 + column];
        let v = records[record + 2u * DIM4 + column];
        compact[factor + column] = settle(missed, weight, m, v);
    }
    if (lane == 0u) {
        let bias = settle(missed, vec4<f32>(header.x), vec4<f32>(header.y), vec4<f32>(header.z)).x;
        compact[factor] = vec4<f32>(bias, header.yzw);
    }
}
