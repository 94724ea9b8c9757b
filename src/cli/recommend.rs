//! `dotcart recommend`: rank for users all products that they have not rated.

use super::args::{RecommendArguments, WhyStyle};
use super::output::Output;
use super::progress::UserBar;
use super::{CommandResult, End};
use dotcart::artifact::origin::Origin;
use dotcart::artifact::run_directory::RunDirectory;
use dotcart::config::DeviceChoice;
use dotcart::flow::error::PipelineError;
use dotcart::recommend::bulk::{BulkEnd, Shard, Users};
use dotcart::recommend::filter::{Candidates, Filter};
use dotcart::recommend::lists::Unlisted;
use dotcart::recommend::{Ask, Ranking, RecommendError, Recommender};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub fn run(arguments: &RecommendArguments, output: &mut Output) -> CommandResult {
    let recommender = Recommender::open(RunDirectory::find(arguments.run.as_deref())?)?;
    let ask = Ask {
        top: arguments.top as usize,
        include_seen: arguments.include_seen,
        why: arguments.why.is_some(),
    };
    let filter = Filter {
        min_ratings: arguments.min_ratings,
        exclude: arguments.exclude.clone(),
        only: arguments.only.clone(),
    };
    let who = &arguments.who;
    // What is asked is checked before anything is scored.
    let (users, unlisted_users) = users(&recommender, arguments)?;
    if let (Some(unlisted), Some(Users::List(known))) = (&unlisted_users, &users)
        && known.is_empty()
    {
        // A list of nobody whom the run knows is a wrong list, whatever may be skipped.
        return finish(&recommender, Some(unlisted), false, End::Done, output);
    }
    let ratings = recommender.given_ratings(&who.rated, who.rated_file.as_deref())?;
    let (candidates, unlisted) = recommender.candidates(&filter)?;
    for unlisted in &unlisted {
        output.unlisted(unlisted);
    }
    if arguments.csv.is_some() {
        output.csv_header();
    }
    let origin = recommender.run().origin().map_err(RecommendError::from)?;
    let Some(users) = users else {
        let ranking = match ratings {
            Some(ratings) => recommender.rank_rated(&candidates, ratings, ask)?,
            None => recommender.rank_unknown(&candidates, ask)?,
        };
        show(arguments, &recommender, &origin, &ranking, true, output);
        return Ok(End::Done);
    };
    let device = recommender.device(users.len(), arguments.device);
    output.device(device);
    if let Some(folder) = &arguments.out {
        let shard = arguments.shard.unwrap_or(Shard::WHOLE);
        let end = write_parts(&recommender, &candidates, &users, ask, device, folder, shard, output)?;
        return finish(
            &recommender,
            unlisted_users.as_ref(),
            arguments.skip_unknown,
            end,
            output,
        );
    }
    let mut is_first = true;
    recommender.rank_all(&candidates, &users, ask, device, |rankings| {
        for ranking in &rankings {
            let is_first = std::mem::take(&mut is_first);
            show(arguments, &recommender, &origin, ranking, is_first, output);
        }
        Ok::<(), PipelineError>(())
    })?;
    finish(
        &recommender,
        unlisted_users.as_ref(),
        arguments.skip_unknown,
        End::Done,
        output,
    )
}

/// Lists the users who could not be answered; that is an error, unless they may be skipped.
fn finish(
    recommender: &Recommender,
    unlisted: Option<&Unlisted>,
    skip_unknown: bool,
    end: End,
    output: &mut Output,
) -> CommandResult {
    let Some(unlisted) = unlisted else { return Ok(end) };
    output.unlisted_users(unlisted);
    match recommender.unknown_users(unlisted) {
        Some(error) if !skip_unknown && end == End::Done => Err(error.into()),
        _ => Ok(end),
    }
}

fn show(
    arguments: &RecommendArguments,
    recommender: &Recommender,
    origin: &Origin,
    ranking: &Ranking,
    is_first: bool,
    output: &mut Output,
) {
    match (arguments.json, arguments.csv) {
        (true, _) => output.json_answer(origin, ranking),
        (_, Some(style)) => output.csv_ranking(ranking, style),
        _ => {
            match is_first {
                true => output.origin(origin),
                false => output.data(""),
            }
            let style = arguments.why.unwrap_or(WhyStyle::Words);
            output.ranking(ranking, style, recommender.liked_from());
        }
    }
}

/// The known users who are asked for, if any are, and those of a list whom the run does not know.
fn users(
    recommender: &Recommender,
    arguments: &RecommendArguments,
) -> Result<(Option<Users>, Option<Unlisted>), RecommendError> {
    let who = &arguments.who;
    // A folder is of known users: all of them, unless some are named.
    if who.all || (arguments.out.is_some() && who.user.is_empty() && who.users.is_none()) {
        return Ok((Some(Users::All(recommender.users())), None));
    }
    if let Some(path) = &who.users {
        let (users, unlisted) = recommender.listed_users(path)?;
        return Ok((Some(Users::List(users)), Some(unlisted)));
    }
    if who.user.is_empty() {
        return Ok((None, None));
    }
    let users: Result<Vec<_>, _> = who.user.iter().map(|id| recommender.user(id)).collect();
    Ok((Some(Users::List(users?)), None))
}

fn write_parts(
    recommender: &Recommender,
    candidates: &Candidates,
    users: &Users,
    ask: Ask,
    device: DeviceChoice,
    folder: &Path,
    shard: Shard,
    output: &mut Output,
) -> CommandResult {
    let stop = Arc::new(AtomicBool::new(false));
    let on_signal = stop.clone();
    // The second signal ends the process at once; parts that stand are kept either way.
    let handler = move || {
        if on_signal.swap(true, Ordering::Relaxed) {
            std::process::exit(End::Interrupted as i32);
        }
    };
    // Without a handler a signal ends the process, which loses no part either.
    let _ = ctrlc::set_handler(handler);
    let mut bar = UserBar::new(output);
    let end = recommender.write_parts(candidates, users, ask, device, folder, shard, &mut bar, &stop)?;
    drop(bar);
    match end {
        BulkEnd::Complete(summary) => {
            output.bulk_summary(&summary, folder);
            Ok(End::Done)
        }
        BulkEnd::Stopped => {
            output.talk("stopped; the same command goes on where this one ended");
            Ok(End::Interrupted)
        }
    }
}
