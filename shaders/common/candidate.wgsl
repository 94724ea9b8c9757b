// A key is a u32 in the order of the scores, so that NO_KEY can flag "nothing" without an infinity: it is below any
// score's. Both zeros are one; what is no number is above all, so that it is found and not lost.
fn key_of(score: f32) -> u32 {
    let bits = bitcast<u32>(score);
    let size = bits & 0x7FFFFFFFu;
    let flipped = select(bits | 0x80000000u, ~bits, bits > 0x80000000u);
    return select(max(flipped, NO_KEY + 1u), 0xFFFFFFFFu, size > 0x7F800000u);
}
