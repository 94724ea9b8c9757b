// The drawn items of a step.
// The importing file binds `plan` and `status` and has `params.draw_slots_at`, `params.draws`, `params.item_rows`.

// No row.
const NO_ROW: u32 = 0xFFFFFFFFu;

// Where the compact row of a drawn item begins; NO_ROW past the last one, and for one whose slot does not exist, which is
// reported.
fn drawn_row(number: u32) -> u32 {
    if (number >= params.draws) {
        return NO_ROW;
    }
    let slot = plan[params.draw_slots_at + number];
    if (slot >= params.item_rows) {
        report(STATUS_BAD_SLOT);
        return NO_ROW;
    }
    return slot * FACTOR4;
}
