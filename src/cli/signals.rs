//! Signals: Ctrl-C, a request to end, a window that closes.

use super::End;
use burn::train::Interrupter;
use dotcart::view::dashboard::terminal;
use std::time::{Duration, Instant};

/// The interrupter's message after a signal, or after Ctrl-C in a dashboard.
pub const BY_SIGNAL: &str = "signal";

/// Signals that come within this time are one wish.
const ONE_WISH: Duration = Duration::from_millis(500);

/// A write beyond `ulimit -f` fails as any other, instead of ending the process without a word.
#[cfg(unix)]
pub fn take_limits_as_errors() {
    // SAFETY: no handler is installed, so none can be unsound.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

#[cfg(not(unix))]
pub fn take_limits_as_errors() {}

/// The first signal stops in order, a later one at once.
pub fn stop_on_signals(interrupter: &Interrupter) {
    let interrupter = interrupter.clone();
    let mut first = None;
    let handler = move || {
        // A window that closes hangs up twice, once for the terminal and once for the shell: that is one wish to stop.
        if first.get_or_insert_with(Instant::now).elapsed() > ONE_WISH {
            terminal::restore();
            std::process::exit(End::Interrupted as i32);
        }
        interrupter.stop(Some(BY_SIGNAL));
    };
    let hangup_is_ignored = hangup_is_ignored();
    // Without a handler a signal ends the process at once; the last checkpoint stands either way.
    let _ = ctrlc::set_handler(handler);
    if hangup_is_ignored {
        ignore_hangup();
    }
}

/// Whether the process was started by `nohup`, which a handler would undo.
#[cfg(unix)]
fn hangup_is_ignored() -> bool {
    // SAFETY: a query into a zeroed action, which is a valid one; nothing is changed.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGHUP, std::ptr::null(), &raw mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

#[cfg(unix)]
fn ignore_hangup() {
    // SAFETY: no handler is installed, so none can be unsound.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
}

#[cfg(not(unix))]
fn hangup_is_ignored() -> bool {
    false
}

#[cfg(not(unix))]
fn ignore_hangup() {}

/// Any signal gives the terminal back and ends the process: there is nothing to be saved.
pub fn leave_on_signals() {
    let _ = ctrlc::set_handler(|| {
        terminal::restore();
        std::process::exit(End::Interrupted as i32);
    });
}
