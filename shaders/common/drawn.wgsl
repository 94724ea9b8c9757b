// The drawn items of a step.
// The importing file binds `plan` and `status` and has `params.draw_slots_at`, `params.draws`, `params.item_rows`.

// The slot of a drawn item, or `params.item_rows` past the last one and for one whose slot does not exist, which is reported.
fn drawn_slot(number: u32) -> u32 {
    let slot = plan[params.draw_slots_at + min(number, params.draws - 1u)];
    if (!(slot < params.item_rows)) {
        report(STATUS_BAD_SLOT);
    }
    return select(params.item_rows, min(slot, params.item_rows), number < params.draws);
}
