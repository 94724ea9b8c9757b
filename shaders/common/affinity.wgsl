// The affinity of a sample, by a team of LANES threads: each multiplies every LANES-th column, one adds up.
// The importing file binds `plan`, `users` and `items` (compact factor rows) and has `params.user_slots_at`,
// `params.item_slots_at`, `params.user_rows`, `params.item_rows`, `params.samples`.

var<workgroup> lane_sums: array<f32, TEAM_THREADS>;

struct Slots {
    user: u32,
    item: u32,
    valid: bool,
}

// The slots of a sample; reports those that do not exist.
fn slots_of(sample: u32) -> Slots {
    if (sample >= params.samples) {
        return Slots(0u, 0u, false);
    }
    let user = plan[params.user_slots_at + sample];
    let item = plan[params.item_slots_at + sample];
    let valid = user < params.user_rows && item < params.item_rows;
    if (!valid) {
        report(STATUS_BAD_SLOT);
    }
    return Slots(user, item, valid);
}

// First half, by all threads of a workgroup, before a barrier: this lane's share of the dot product.
fn multiply_columns(slots: Slots, thread: u32) {
    var sum = 0.0;
    if (slots.valid) {
        for (var column = thread % LANES; column < DIM4; column += LANES) {
            sum += dot(users[slots.user * FACTOR4 + 1u + column], items[slots.item * FACTOR4 + 1u + column]);
        }
    }
    lane_sums[thread] = sum;
}

// Second half, by one thread a team: the lanes' shares in fixed order, and both biases.
fn affinity(slots: Slots, team: u32) -> f32 {
    var sum = 0.0;
    for (var lane = 0u; lane < LANES; lane++) {
        sum += lane_sums[team * LANES + lane];
    }
    return sum + users[slots.user * FACTOR4].x + items[slots.item * FACTOR4].x;
}
