//! The keys of the dashboard: what they do to the picture, and what they ask of the training.
//!
//! Knows no terminal but its key events, so a test presses keys without one.

use super::chart_kind::ChartKind;
use super::state::State;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What the dashboard shows: it decides which keys there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// A training of this process.
    #[default]
    Training,
    /// The log of a training, from its beginning.
    Replay,
    /// A training of another process, as it goes.
    Following,
}

/// What the user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Stop(StopKey),
    /// To stand still, or to go on.
    Pause(bool),
    /// To save now.
    Checkpoint,
    /// To see the end of a replay at once.
    Skip,
}

/// The key that asked for the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopKey {
    Quit,
    CtrlC,
}

/// What the keys have set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Controls {
    pub role: Role,
    pub shows_help: bool,
    pub chart: ChartKind,
    /// The chart shows the whole width divided by two to this power.
    pub zoom: u32,
    /// The epoch at the right end of a chart that was scrolled; `None` follows the newest.
    pub right: Option<f64>,
    /// The user wants a pause, which may not have begun.
    pub pausing: bool,
    /// The user wants the end, which has not come yet.
    pub stopping: bool,
}

/// Deeper, a curve has no more points to show.
const MAX_ZOOM: u32 = 6;

impl Controls {
    /// What nobody has touched yet.
    pub fn new(role: Role) -> Self {
        Self {
            role,
            ..Self::default()
        }
    }

    /// Takes in a key.
    pub fn press(&mut self, key: KeyEvent, state: &State) -> Option<Wish> {
        let is_over = state.outcome.is_some();
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => self.stop(StopKey::CtrlC, is_over),
                _ => None,
            };
        }
        match key.code {
            KeyCode::Char('q') => return self.stop(StopKey::Quit, is_over),
            KeyCode::Char('?' | 'h') => self.shows_help = !self.shows_help,
            KeyCode::Esc => self.shows_help = false,
            KeyCode::Char('p' | ' ') if !is_over && !self.stopping => {
                self.pausing = !self.pausing;
                return Some(Wish::Pause(self.pausing));
            }
            KeyCode::Char('c') if self.role == Role::Training && !is_over && !self.stopping => {
                return Some(Wish::Checkpoint);
            }
            KeyCode::Char('e') if self.role == Role::Replay && !is_over => {
                self.pausing = false;
                return Some(Wish::Skip);
            }
            KeyCode::Char('m') | KeyCode::Tab => self.chart = self.chart.next(),
            KeyCode::BackTab => self.chart = self.chart.previous(),
            KeyCode::Char('+' | '=') | KeyCode::Up => self.zoom = (self.zoom + 1).min(MAX_ZOOM),
            KeyCode::Char('-') | KeyCode::Down => {
                self.zoom = self.zoom.saturating_sub(1);
                self.scroll(0.0, state);
            }
            KeyCode::Left => self.scroll(-0.25, state),
            KeyCode::Right => self.scroll(0.25, state),
            KeyCode::Char('0') | KeyCode::Home => (self.zoom, self.right) = (0, None),
            KeyCode::End => self.right = None,
            _ => {}
        }
        None
    }

    /// The epochs that the chart shows.
    pub fn window(&self, state: &State) -> (f64, f64) {
        let (from, to) = state.extent();
        let width = (to - from) / f64::from(1u32 << self.zoom);
        // Newest to the right: within an epoch the picture stands still only while all of it is shown.
        let newest = if self.zoom == 0 {
            to
        } else {
            state.position().max(from + width)
        };
        let right = self.right.map_or(newest, |right| right.clamp(from + width, newest));
        (right - width, right)
    }

    /// Moves the window by a share of its width; at the newest end it follows again.
    fn scroll(&mut self, share: f64, state: &State) {
        let (left, right) = self.window(state);
        self.right = Some(right + share * (right - left));
        let newest = Self { right: None, ..*self }.window(state).1;
        if self.right.is_some_and(|right| right >= newest) {
            self.right = None;
        }
    }

    fn stop(&mut self, key: StopKey, is_over: bool) -> Option<Wish> {
        // A training that is over ends by itself; who only watches may leave at any time.
        let has_sense = !is_over || self.role != Role::Training;
        self.stopping |= has_sense;
        has_sense.then_some(Wish::Stop(key))
    }
}

/// The keys and what they do, for the help.
pub fn explained(role: Role) -> Vec<(&'static str, &'static str)> {
    let mut keys = match role {
        Role::Training => vec![
            ("q", "stop, save, and leave; `train --resume` goes on"),
            ("p, space", "pause, go on"),
            ("c", "save a checkpoint now"),
        ],
        Role::Replay => vec![
            ("q", "leave"),
            ("p, space", "hold the replay, go on"),
            ("e", "show the end at once"),
        ],
        Role::Following => vec![
            ("q", "leave; the training goes on"),
            ("p, space", "hold the picture, go on"),
        ],
    };
    keys.extend([
        ("m, tab", "next chart (shift-tab: the one before)"),
        ("+ -, up down", "zoom the chart in and out"),
        ("left right", "scroll a zoomed chart (end: to the newest)"),
        ("0", "the whole chart"),
        ("?, h", "this help"),
    ]);
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::event::{TrainEvent, TrainStart};

    /// 3.5 of 10 epochs are done.
    fn state() -> State {
        let mut state = State::default();
        let start = TrainStart {
            epochs: 10,
            first_epoch: 1,
            batch_size: 10,
            steps_per_epoch: 10,
            samples_per_epoch: 100,
            ..TrainStart::default()
        };
        state.apply(&TrainEvent::Started(Box::new(start)));
        for (epoch, samples) in [(1, 50), (4, 50)] {
            state.apply(&TrainEvent::Progress {
                epoch,
                step: 1,
                samples,
                loss: 0.5,
                seconds: epoch as f64,
            });
        }
        state
    }

    fn press(controls: &mut Controls, state: &State, codes: &[KeyCode]) -> Vec<Wish> {
        let keys = codes.iter().map(|code| KeyEvent::new(*code, KeyModifiers::NONE));
        keys.filter_map(|key| controls.press(key, state)).collect()
    }

    #[test]
    fn the_keys_ask_for_what_they_say() {
        let (state, mut controls) = (state(), Controls::new(Role::Training));
        let letters = ['p', ' ', 'c', 'e', 'x', 'q'].map(KeyCode::Char);
        let wishes = press(&mut controls, &state, &letters);
        let stop = Wish::Stop(StopKey::Quit);
        assert_eq!(wishes, [Wish::Pause(true), Wish::Pause(false), Wish::Checkpoint, stop]);
        assert!(controls.stopping && !controls.pausing);
        assert_eq!(press(&mut controls, &state, &letters[..3]), [], "it is ending");
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(controls.press(interrupt, &state), Some(Wish::Stop(StopKey::CtrlC)));
    }

    #[test]
    fn who_only_watches_asks_nothing_of_the_training() {
        let state = state();
        let letters = ['c', 'e'].map(KeyCode::Char);
        assert_eq!(press(&mut Controls::new(Role::Following), &state, &letters), []);
        assert_eq!(press(&mut Controls::new(Role::Replay), &state, &letters), [Wish::Skip]);
    }

    #[test]
    fn charts_go_round_both_ways_and_help_opens_and_closes() {
        let (state, mut controls) = (state(), Controls::default());
        let mut seen = vec![controls.chart];
        while seen.len() == 1 || controls.chart != ChartKind::default() {
            press(&mut controls, &state, &[KeyCode::Char('m')]);
            seen.push(controls.chart);
        }
        assert_eq!(seen.len(), ChartKind::ALL.len() + 1);
        press(&mut controls, &state, &[KeyCode::BackTab]);
        assert_eq!(controls.chart, seen[seen.len() - 2]);
        press(&mut controls, &state, &[KeyCode::Char('?')]);
        assert!(controls.shows_help);
        press(&mut controls, &state, &[KeyCode::Esc]);
        assert!(!controls.shows_help);
    }

    #[test]
    fn a_zoomed_chart_follows_the_newest_and_scrolls_between_its_ends() {
        let (state, mut controls) = (state(), Controls::default());
        assert_eq!(controls.window(&state), (0.0, 4.0));
        press(&mut controls, &state, &[KeyCode::Up, KeyCode::Up]);
        assert_eq!(controls.window(&state), (2.5, 3.5));
        press(&mut controls, &state, &[KeyCode::Left, KeyCode::Left]);
        assert_eq!(controls.window(&state), (2.0, 3.0));
        press(&mut controls, &state, &[KeyCode::Left; 30]);
        assert_eq!(controls.window(&state), (0.0, 1.0));
        press(&mut controls, &state, &[KeyCode::Right; 30]);
        assert_eq!((controls.window(&state), controls.right), ((2.5, 3.5), None));
        press(&mut controls, &state, &[KeyCode::Left, KeyCode::Home]);
        assert_eq!((controls.window(&state), controls.zoom), ((0.0, 4.0), 0));
        press(&mut controls, &state, &[KeyCode::Up; 30]);
        press(&mut controls, &state, &[KeyCode::Left; 4]);
        press(&mut controls, &state, &[KeyCode::Down; 30]);
        assert_eq!((controls.window(&state), controls.right), ((0.0, 4.0), None));
    }
}
