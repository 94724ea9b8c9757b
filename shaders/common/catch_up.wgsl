// What brings the weights of a row from the step it was last touched at to a later one: twin of `Schedule::catch_up` in
// src/core/engine/optimizer/mod.rs; the formulas stand in
// src/core/engine/optimizer/adam.rs. Powers come from the device's own exp2, which is cheaper there than the host's look-up.

struct CatchUp {
    shift: f32,
    correction: f32,
}

// From the end of step `last` to the end of step `now`, whose rows [c, tail, moment, 0] of the schedule are given; last <= now.
fn catch_up(last: u32, from_step: vec4<f32>, now: u32, to_step: vec4<f32>) -> CatchUp {
    let missed = f32(now - last);
    let rho_power = exp2(missed * LOG2_RHO);
    let moment = from_step.z - rho_power * (to_step.z + missed * to_step.y);
    return CatchUp(from_step.y - rho_power * to_step.y, HALF_LN_BETA2 * moment);
}

// The weights after the missed steps.
fn settle(catch_up: CatchUp, weight: vec4<f32>, m: vec4<f32>, v: vec4<f32>) -> vec4<f32> {
    let inverse = 1.0 / (sqrt(v) + EPSILON);
    return weight - (catch_up.shift + catch_up.correction * (EPSILON * inverse)) * (m * inverse);
}
