// Twin of src/core/engine/objective.rs.

// 1 / (1 + exp(-z)), without overflow on either side.
fn sigmoid(z: f32) -> f32 {
    let small = exp(-abs(z));
    return select(small, 1.0, z >= 0.0) / (1.0 + small);
}

// Binary cross-entropy of a logit against what is wanted, in [0, 1].
fn loss(z: f32, wanted: f32) -> f32 {
    return max(z, 0.0) - z * wanted + log(1.0 + exp(-abs(z)));
}
