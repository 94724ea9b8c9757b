// Bits that the host finds when it reads statistics. The importing file binds `status: atomic<u32>`.
// A bad index is reported, never followed and never passed over in silence: nothing else checks bounds.
fn report(bit: u32) {
    atomicOr(&status, bit);
}
