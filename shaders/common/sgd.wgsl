// One step of gradient descent of four numbers, twin of src/core/engine/optimizer/sgd.rs.
fn sgd_step(number: vec4<f32>, gradient: vec4<f32>, step_size: f32) -> vec4<f32> {
    return number - step_size * gradient;
}
