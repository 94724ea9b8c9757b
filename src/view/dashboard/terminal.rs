//! The live dashboard, in the terminal's alternate screen.
//!
//! It speaks to the user through stderr, for stdout is data. A thread of its own draws; training hands over an event
//! and goes on. Raw mode swallows Ctrl-C, so the thread takes it as a key. The terminal is given back when the
//! dashboard is dropped, before a panic speaks, and by [`restore`].

use super::keys::{Controls, Role, StopKey, Wish};
use super::palette::Palette;
use super::state::State;
use super::view::draw;
use crate::train::event::{Observer, TrainEvent};
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute, queue};
use std::io::{self, Write, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Pictures are this far apart at least.
const FRAME: Duration = Duration::from_millis(100);
/// The clock moves at least this often.
const CLOCK: Duration = Duration::from_secs(1);

/// True while the terminal is ours. Whoever writes to it holds the lock, so nothing is drawn after it was given back.
static OURS: Mutex<bool> = Mutex::new(false);

/// Draws a training on the terminal until it is dropped.
pub struct Terminal {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Takes the terminal over; `on_wish` is called with all that the user asks for, but with the wish to stop only once.
    ///
    /// # Errors
    ///
    /// If there is no terminal that can be put in raw mode, or its thread cannot be started.
    pub fn start(role: Role, on_wish: Box<dyn Fn(Wish) + Send + Sync>) -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(restore_before_panics);
        take_over()?;
        let shared = Arc::new(Shared::new(role));
        let started = ratatui::Terminal::new(CrosstermBackend::new(Screen::default())).and_then(|screen| {
            let shared = shared.clone();
            thread::Builder::new()
                .name("dashboard".into())
                .spawn(move || run(screen, &shared, &*on_wish))
        });
        match started {
            Ok(thread) => Ok(Self {
                shared,
                thread: Some(thread),
            }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }
}

impl Observer for Terminal {
    fn observe(&mut self, event: &TrainEvent) {
        self.shared.lock().apply(event);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // If it panicked, the hook has spoken.
            let _ = thread.join();
        }
        restore();
    }
}

/// Gives the terminal back as it was; does nothing if it is not taken, so it may be called at any time, by any thread.
pub fn restore() {
    if std::mem::take(&mut *ours()) {
        // Nothing can be done if the terminal is gone.
        let _ = execute!(stderr(), EndSynchronizedUpdate, LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
    }
}

fn take_over() -> io::Result<()> {
    let mut ours = ours();
    enable_raw_mode()?;
    *ours = true;
    drop(ours);
    execute!(stderr(), EnterAlternateScreen, cursor::Hide).inspect_err(|_| restore())
}

fn restore_before_panics() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        restore();
        previous(info);
    }));
}

fn ours() -> MutexGuard<'static, bool> {
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the training and the drawing thread share.
struct Shared {
    watched: Mutex<Watched>,
    closing: AtomicBool,
}

impl Shared {
    fn new(role: Role) -> Self {
        Self {
            watched: Mutex::new(Watched {
                state: State::default(),
                controls: Controls::new(role),
                at: Instant::now(),
                changed: true,
            }),
            closing: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Watched {
    state: State,
    controls: Controls,
    /// When the last event came, by our own clock.
    at: Instant,
    changed: bool,
}

impl Watched {
    fn apply(&mut self, event: &TrainEvent) {
        self.state.apply(event);
        // An epoch's start carries no time, so the clock runs on.
        if !matches!(event, TrainEvent::EpochStarted { .. }) {
            self.at = Instant::now();
        }
        self.changed = true;
    }

    /// The state to draw now, if it differs from the last one drawn. A copy: training never waits for the terminal.
    fn next_picture(&mut self, drawn: Instant) -> Option<(State, Controls)> {
        if !self.changed && drawn.elapsed() < CLOCK {
            return None;
        }
        self.changed = false;
        // A replay that is held stands still as a whole.
        if self.controls.role == Role::Training || !self.controls.pausing {
            self.state.tick(self.at.elapsed().as_secs_f64());
        }
        Some((self.state.clone(), self.controls))
    }
}

/// The drawing thread.
fn run(mut screen: ratatui::Terminal<CrosstermBackend<Screen>>, shared: &Shared, on_wish: &dyn Fn(Wish)) {
    let palette = Palette::new(std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()));
    let mut drawn = Instant::now();
    while !shared.closing.load(Ordering::Acquire) && *ours() && !is_hung_up() {
        let picture = shared.lock().next_picture(drawn);
        if let Some((state, controls)) = picture {
            drawn = Instant::now();
            // A terminal that is gone must not stop a training.
            let _ = screen.draw(|frame| draw(frame, &state, &controls, &palette));
        }
        for event in events_of_a_frame() {
            let mut watched = shared.lock();
            watched.changed = true;
            let Some(key) = event.as_key_press_event() else {
                continue;
            };
            let Watched { state, controls, .. } = &mut *watched;
            let was_stopping = controls.stopping;
            let wish = controls.press(key, state);
            drop(watched);
            match wish {
                Some(Wish::Stop(StopKey::CtrlC)) if was_stopping => {
                    // The user is tired of waiting: without raw mode the next Ctrl-C is a signal again.
                    restore();
                }
                Some(Wish::Stop(_)) if was_stopping => {}
                Some(wish) => on_wish(wish),
                None => {}
            }
        }
    }
}

/// What the user did within a frame's time; empty as well where no keys can be read.
fn events_of_a_frame() -> Vec<Event> {
    // Waiting inside crossterm would spin for ever once the terminal is gone: it reads the end of file again and again.
    thread::sleep(FRAME);
    let mut events = Vec::new();
    while !is_hung_up() && event::poll(Duration::ZERO).unwrap_or(false) {
        match event::read() {
            Ok(event) => events.push(event),
            Err(_) => break,
        }
    }
    events
}

/// Whether nobody holds the other end of the terminal any more: the window was closed, the connection broke.
#[cfg(unix)]
fn is_hung_up() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stderr = stderr();
    let mut state = [PollFd::new(&stderr, PollFlags::empty())];
    let no_waiting = Timespec { tv_sec: 0, tv_nsec: 0 };
    let gone = PollFlags::HUP | PollFlags::ERR;
    poll(&mut state, Some(&no_waiting)).is_ok() && state[0].revents().intersects(gone)
}

#[cfg(not(unix))]
fn is_hung_up() -> bool {
    false
}

/// Collects a picture and writes it at once: a half-drawn one never shows.
#[derive(Default)]
struct Screen {
    picture: Vec<u8>,
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.picture.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.picture.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(self.picture.len() + 16);
        queue!(bytes, BeginSynchronizedUpdate)?;
        bytes.append(&mut self.picture);
        queue!(bytes, EndSynchronizedUpdate)?;
        let ours = ours();
        if *ours { stderr().write_all(&bytes) } else { Ok(()) }
    }
}
