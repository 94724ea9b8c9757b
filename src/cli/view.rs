//! Who watches a training of this process: its log, and what the user has asked for.

use super::args::TrainArguments;
use super::signals::BY_SIGNAL;
use burn::train::Interrupter;
use dotcart::artifact::run_directory::{METRICS, RunDirectory, RunError};
use dotcart::artifact::tensor_file::FileError;
use dotcart::train::event::{EventBus, Observer};
use dotcart::train::event_log::EventLog;
use dotcart::train::wishes::Wishes;
use dotcart::view::dashboard::keys::{Role, StopKey, Wish};
use dotcart::view::dashboard::plain::Plain;
use dotcart::view::dashboard::terminal::Terminal;
use dotcart::view::tensorboard::TensorBoard;
use std::io::IsTerminal;
use std::time::Duration;

/// The interrupter's message after `q`.
pub const BY_KEY: &str = "key";

/// Lines of progress are this far apart.
pub const LINE: Duration = Duration::from_secs(1);

/// Whether stderr is a terminal that takes back what it shows; `dumb` is the word for one that does not.
pub fn can_redraw() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether the dashboard can be shown on stderr, whose lines and dots are no ASCII.
pub fn can_draw() -> bool {
    can_redraw() && is_utf8()
}

/// Whether text is UTF-8, by the locale. Where no locale is set, as in many containers, nothing speaks against it.
pub fn is_utf8() -> bool {
    let named = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(std::env::var_os);
    let mut named = named.filter(|locale| !locale.is_empty());
    named.next().is_none_or(|locale| {
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// The bus with all who watch.
pub fn watched_bus(
    run: &RunDirectory,
    arguments: &TrainArguments,
    interrupter: &Interrupter,
    wishes: &Wishes,
) -> Result<EventBus, RunError> {
    let bus = EventBus::default();
    let log = run.file(METRICS);
    bus.subscribe(Box::new(EventLog::append(&log).map_err(FileError::write(&log))?));
    if let Some(folder) = &arguments.tensorboard {
        let folder = folder.join(run.name());
        let board = TensorBoard::create(&folder).map_err(FileError::write(&folder))?;
        bus.subscribe(Box::new(board));
    }
    if arguments.json {
        bus.subscribe(Box::new(EventLog::new(Box::new(std::io::stdout()), "stdout")));
    } else if !arguments.quiet {
        bus.subscribe(screen(arguments.plain, interrupter, wishes));
    }
    Ok(bus)
}

/// The dashboard if stderr is a terminal, else lines.
fn screen(plain: bool, interrupter: &Interrupter, wishes: &Wishes) -> Box<dyn Observer> {
    let (interrupter, wishes) = (interrupter.clone(), wishes.clone());
    let on_wish = Box::new(move |wish| match wish {
        Wish::Stop(StopKey::Quit) => interrupter.stop(Some(BY_KEY)),
        Wish::Stop(StopKey::CtrlC) => interrupter.stop(Some(BY_SIGNAL)),
        Wish::Pause(pause) => wishes.pause(pause),
        Wish::Checkpoint => wishes.checkpoint(),
        Wish::Skip => {}
    });
    let dashboard = (!plain && can_draw()).then(|| Terminal::start(Role::Training, on_wish));
    match dashboard {
        Some(Ok(dashboard)) => Box::new(dashboard),
        _ => Box::new(Plain::new(Box::new(std::io::stderr()), LINE)),
    }
}
