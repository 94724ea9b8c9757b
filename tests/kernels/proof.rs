//! What `doctor --prove` compares holds on this adapter. Its trainings are those of `trainer`, and are left to it.

use crate::needs::gpu;
use dotcart::bench::agreement::{rankings, twice};
use dotcart::bench::workgroups::try_sizes;

#[test]
fn what_a_proof_compares_holds_here() {
    let Some(gpu) = gpu() else { return };
    let of_trainings = twice(gpu).unwrap();
    assert!(
        of_trainings.cases == 3 && of_trainings.largest_gap > 0.0,
        "two engines that round alike compare nothing"
    );
    assert_eq!(rankings(gpu).unwrap().cases, 28);
    let tried = try_sizes(gpu, 700, 1000).unwrap();
    let usual = tried.iter().filter(|tried| tried.is_usual).count();
    assert_eq!((tried.len(), usual), (5, 1));
}
