//! Text of others, shown: what would command a terminal or turn a line around stands there as an escape.

use std::borrow::Cow;

/// The text with each control character (C0, DEL, C1), line or paragraph separator and sign of direction as `\t` or `\u{1b}`.
///
/// Signs of direction: Unicode Standard Annex 9, table 4 and the implicit marks; what they do to text that is read by people is
/// N. Boucher, R. Anderson: Trojan Source, 2021.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_hidden(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Whether a character shows nothing itself and changes what stands around it.
fn is_hidden(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hidden_is_left_and_all_else_stays() {
        let all: String = (0..=0x2100).filter_map(char::from_u32).collect();
        let shown = visible(&all);
        let is_dangerous = |c: char| {
            c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c)
        };
        assert!(!shown.contains(is_dangerous), "{shown:?}");
        assert_eq!(
            visible("a\u{1b}[2J\u{7}\u{8}\u{9b}1m\t\n\u{202e}b"),
            r"a\u{1b}[2J\u{7}\u{8}\u{9b}1m\t\n\u{202e}b"
        );
        // A space that does not break, a joiner and a backslash are text.
        for text in ["", "Žižkov – 5\u{a0}€", "क्\u{200d}ष", r"C:\ratings", "e\u{301}"] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
        }
    }
}
