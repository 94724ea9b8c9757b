//! Notes: what happened, a line each, the newest of them.

use std::collections::VecDeque;

/// Notes that are remembered.
const NOTES: usize = 32;

/// Something worth a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    pub seconds: f64,
    pub text: String,
}

/// Oldest first.
#[derive(Clone, Debug, Default)]
pub struct Notes(VecDeque<Note>);

impl Notes {
    /// Remembers one more.
    pub fn add(&mut self, seconds: f64, text: String) {
        if self.0.len() == NOTES {
            self.0.pop_front();
        }
        self.0.push_back(Note { seconds, text });
    }

    /// The last `rows` of them, oldest first.
    pub fn newest(&self, rows: usize) -> impl Iterator<Item = &Note> {
        self.0.iter().skip(self.0.len().saturating_sub(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_bounded_and_the_newest_stay() {
        let mut notes = Notes::default();
        (0..1_000).for_each(|number| notes.add(0.0, format!("checkpoint at step {number}")));
        let texts: Vec<&str> = notes.newest(2).map(|note| note.text.as_str()).collect();
        assert_eq!(texts, ["checkpoint at step 998", "checkpoint at step 999"]);
        assert_eq!(notes.newest(1_000).count(), NOTES);
    }
}
