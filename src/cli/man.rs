//! `dotcart man`: the manual, a page a command, for `scripts/dist`.

use super::args::Arguments;
use super::{CommandResult, End};
use clap::CommandFactory;
use dotcart::artifact::tensor_file::FileError;
use std::path::Path;

pub fn run(folder: &Path) -> CommandResult {
    let write = || {
        std::fs::create_dir_all(folder)?;
        clap_mangen::generate_to(Arguments::command(), folder)
    };
    write().map_err(FileError::write(folder))?;
    Ok(End::Done)
}
