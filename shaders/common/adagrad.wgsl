// One Adagrad step of four numbers with a sum each, twin of `adagrad_step` in src/core/engine/optimizer/adagrad.rs: the new numbers;
// the sums of squares in place.
fn adagrad_step(number: vec4<f32>, sum: ptr<function, vec4<f32>>, gradient: vec4<f32>, step_size: f32) -> vec4<f32> {
    *sum += gradient * gradient;
    return number - step_size * (gradient / (sqrt(*sum) + EPSILON));
}
