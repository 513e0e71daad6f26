//! `next`: which case to label next.

use super::infer::networks;
use super::options::{BAD_INPUT, CliError, Options, exit_code};
use super::tools::{follow, source};
use crate::cli::NextArgs;
use crate::next_case::Ranking;
use crate::protocol::Outcome;
use crate::terminal;
use crate::worker::{Job, NextCaseJob};

pub(super) fn next(arguments: NextArgs, options: &Options) -> Result<u8, CliError> {
    let NextArgs { data, labels, checkpoints, only, by, count, out, overwrite, set } = arguments;
    let checkpoints = checkpoints.iter().map(|path| networks(path, &only)).collect::<Result<Vec<_>, _>>()?.concat();
    let data = data.map(|data| source(&data, labels.as_deref()));
    let job = NextCaseJob { checkpoints, data, out: out.clone(), overwrite, by, settings: set };
    let (outcome, _) = follow(Job::NextCase(job), options);
    if outcome != Outcome::Completed {
        return Ok(exit_code(&outcome));
    }
    let place = out.display();
    let gone = || CliError::Failure(format!("{place}: the ranking is gone, although it was just written"));
    let ranking = Ranking::read(&out)?.ok_or_else(gone)?;
    terminal::print(terminal::ranking(&ranking, count));
    if !options.quiet {
        terminal::print(format_args!("ranking.csv and ranking.json in {place}"));
    }
    Ok(if ranking.unread.is_empty() { 0 } else { BAD_INPUT })
}
