//! `dotcart generate`: a ratings file in the shape of a real one, for trying things out.

use super::args::{GenerateArguments, Likeness};
use super::output::Output;
use super::{CommandResult, End};
use dotcart::common::format;
use dotcart::config::GenerateConfig;
use dotcart::data::marginals::electronics_of;
use dotcart::data::synthetic::generate;
use std::time::Instant;

pub fn run(arguments: &GenerateArguments, output: &mut Output) -> CommandResult {
    let natural = match arguments.like {
        Likeness::Electronics => electronics_of(arguments.ratings as usize),
    };
    let chosen = |given: Option<u32>, natural: usize| given.map_or(natural, |given| given as usize);
    let size = GenerateConfig {
        users: chosen(arguments.users, natural.users),
        products: chosen(arguments.products, natural.products),
        ..natural
    };
    let start = Instant::now();
    generate(&arguments.out, &size, arguments.seed, arguments.force)?;
    output.talk(&format!(
        "generated {} ratings of {} users and {} products in {}: {}",
        format::count(size.ratings.min(size.users.saturating_mul(size.products))),
        format::count(size.users),
        format::count(size.products),
        format::duration(start.elapsed().as_secs_f64()),
        arguments.out.display(),
    ));
    Ok(End::Done)
}
