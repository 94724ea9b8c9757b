//! `dotcart doctor`: graphics adapters, their limits, and which engine `auto` takes and why.

use super::output::Output;
use super::{CommandResult, End};

pub fn run(output: &mut Output) -> CommandResult {
    output.data("doctor");
    Ok(End::Done)
}
