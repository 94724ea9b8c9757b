//! `dotcart similar`: the products, or users, most like one.

use super::args::SimilarArguments;
use super::output::Output;
use super::{CommandResult, End};
use dotcart::artifact::run_directory::RunDirectory;
use dotcart::recommend::{RecommendError, Recommender};

pub fn run(arguments: &SimilarArguments, output: &mut Output) -> CommandResult {
    let recommender = Recommender::open(RunDirectory::find(arguments.run.as_deref())?)?;
    let top = arguments.top as usize;
    let similar = match (&arguments.product, &arguments.user) {
        (Some(product), _) => recommender.similar_products(product, top, arguments.min_ratings)?,
        (None, user) => recommender.similar_users(user.as_deref().unwrap_or_default(), top, arguments.min_ratings)?,
    };
    let origin = recommender.run().origin().map_err(RecommendError::from)?;
    if arguments.json {
        output.json_answer(&origin, &similar);
    } else {
        output.origin(&origin);
        output.similar(&similar);
    }
    Ok(End::Done)
}
