//! `dotcart doctor --prove`: whether this adapter computes what the cpu does, and how fast, as JSON that can be sent.

use super::output::Output;
use super::output::proof::proof_page;
use super::{CommandResult, End};
use dotcart::artifact::tensor_file::FileError;
use dotcart::bench::proof::prove;
use dotcart::common::whole_file::write_whole;
use dotcart::engine::EngineError;
use std::path::Path;

pub fn run(out: Option<&Path>, output: &mut Output) -> CommandResult {
    let proof = prove(&mut |what| output.talk(what)).map_err(EngineError::from)?;
    proof_page(&proof).iter().for_each(|line| output.talk(line));
    let json = serde_json::to_string_pretty(&proof).expect("proofs are JSON");
    match out {
        Some(path) => write_whole(path, format!("{json}\n").as_bytes()).map_err(FileError::write(path))?,
        None => output.data(&json),
    }
    let failures = proof.failures().count();
    if failures == 0 {
        return Ok(End::Done);
    }
    output.error(
        &format!(
            "{failures} of {} checks do not hold on {}",
            proof.checks.len(),
            proof.adapter
        ),
        "send the JSON with an issue; `--device cpu` needs no adapter",
    );
    Ok(End::UserError)
}
