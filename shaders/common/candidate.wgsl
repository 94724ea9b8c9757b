// A candidate is (key, item): the key is a u32 in the order of the scores, so that NO_KEY can flag "nothing" without an
// infinity. Ranked by key, ties by lower item.
fn comes_before(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.x > b.x || (a.x == b.x && a.y < b.y);
}
