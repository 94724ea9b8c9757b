// One Adam step of four numbers, twin of `adam_step` in src/core/engine/optimizer/adam.rs: the new weights; m and v in place.
fn adam_step(
    weight: vec4<f32>,
    m: ptr<function, vec4<f32>>,
    v: ptr<function, vec4<f32>>,
    gradient: vec4<f32>,
    step_size: f32,
) -> vec4<f32> {
    *m = BETA1 * *m + REST1 * gradient;
    *v = BETA2 * *v + REST2 * (gradient * gradient);
    return weight - step_size * (*m / (sqrt(*v) + EPSILON));
}
