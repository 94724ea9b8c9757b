//! The device for tests, or a line that says what was left out.
//!
//! Shared by test targets with `#[path]`. Any adapter will do, the software one too; with `DOTCART_REQUIRE_GPU=1` there has
//! to be one.

use dotcart::engine::gpu::device::Gpu;

/// The device; none where this machine has no adapter, which is said once.
pub fn gpu() -> Option<Gpu> {
    match Gpu::open(true) {
        Ok(gpu) => Some(gpu),
        Err(error) if std::env::var_os("DOTCART_REQUIRE_GPU").is_some_and(|value| value == "1") => {
            panic!("DOTCART_REQUIRE_GPU=1, but {error}")
        }
        Err(error) => {
            static SAID: std::sync::Once = std::sync::Once::new();
            // Past the test harness's capture, which would hide it from a passing run.
            SAID.call_once(|| {
                use std::io::Write;
                let _ = writeln!(
                    std::io::stderr(),
                    "left out: all tests that need a graphics device ({error})"
                );
            });
            None
        }
    }
}
