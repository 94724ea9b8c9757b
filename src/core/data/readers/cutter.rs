//! A line of delimited text, cut into its fields.
//!
//! With a delimiter of one byte, a field may stand in quotes as RFC 4180 has them: the delimiter is text in there and a
//! doubled quote is one quote. A quote that is not the first character of a field is text. Files with a longer delimiter
//! such as `::` know no quotes. Spaces around a field without quotes are padding.

use memchr::{memchr, memmem};
use std::ops::Range;

/// Cuts one line after the other.
#[derive(Debug)]
pub struct Cutter {
    delimiter: memmem::Finder<'static>,
    spans: Vec<Range<usize>>,
    quote: Option<u8>,
    /// The text of a line with quotes, its fields end to end.
    unquoted: Vec<u8>,
    /// Numbers of the fields in quotes.
    quoted: Vec<usize>,
    has_quotes: bool,
    has_text_behind_quote: bool,
}

/// The fields of a line.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    text: &'a [u8],
    spans: &'a [Range<usize>],
    quoted: &'a [usize],
}

impl<'a> Parts<'a> {
    /// Number of fields, at least one.
    pub fn count(&self) -> usize {
        self.spans.len()
    }

    /// A field, if there is one of this number.
    pub fn get(&self, number: usize) -> Option<&'a [u8]> {
        Some(&self.text[self.spans.get(number)?.clone()])
    }

    /// The same without padding.
    #[inline]
    pub fn get_trimmed(&self, number: usize) -> Option<&'a [u8]> {
        let text = self.get(number)?;
        let is_tight = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_whitespace());
        // Hardly any field has padding.
        if is_tight(text.first()) && is_tight(text.last()) || self.quoted.contains(&number) {
            return Some(text);
        }
        Some(text.trim_ascii())
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        self.spans.iter().map(|span| &self.text[span.clone()])
    }
}

impl Cutter {
    /// A cutter at `delimiter`, which must not be empty; without a `quote` every character is text.
    pub fn new(delimiter: &str, quote: Option<u8>) -> Self {
        Self {
            delimiter: memmem::Finder::new(delimiter.as_bytes()).into_owned(),
            spans: Vec::new(),
            quote,
            unquoted: Vec::new(),
            quoted: Vec::new(),
            has_quotes: false,
            has_text_behind_quote: false,
        }
    }

    /// Whether text stood behind a closing quote of the line that was cut last: a sign that the quotes are none.
    pub fn has_text_behind_quote(&self) -> bool {
        self.has_text_behind_quote
    }

    /// Cuts a line. Errors with the byte at which a quote opens that does not close; the rest of the line is then one field.
    pub fn cut(&mut self, line: &[u8]) -> Result<(), usize> {
        self.spans.clear();
        self.quoted.clear();
        self.has_text_behind_quote = false;
        let &[delimiter] = self.delimiter.needle() else {
            let mut start = 0;
            for at in self.delimiter.find_iter(line) {
                self.spans.push(start..at);
                start = at + self.delimiter.needle().len();
            }
            self.spans.push(start..line.len());
            self.has_quotes = false;
            return Ok(());
        };
        let quote = self.quote.filter(|quote| memchr(*quote, line).is_some());
        self.has_quotes = quote.is_some();
        if let Some(quote) = quote {
            return self.cut_quoted(line, delimiter, quote);
        }
        let mut start = 0;
        for at in memchr::memchr_iter(delimiter, line) {
            self.spans.push(start..at);
            start = at + 1;
        }
        self.spans.push(start..line.len());
        Ok(())
    }

    fn cut_quoted(&mut self, line: &[u8], delimiter: u8, quote: u8) -> Result<(), usize> {
        let text = &mut self.unquoted;
        text.clear();
        let mut at = 0;
        loop {
            let start = text.len();
            let is_quoted = line.get(at) == Some(&quote);
            if is_quoted {
                self.quoted.push(self.spans.len());
                let opened = at;
                at += 1;
                loop {
                    let Some(found) = memchr(quote, &line[at..]) else {
                        text.extend_from_slice(&line[at..]);
                        self.spans.push(start..text.len());
                        return Err(opened);
                    };
                    text.extend_from_slice(&line[at..at + found]);
                    at += found + 1;
                    if line.get(at) != Some(&quote) {
                        break;
                    }
                    text.push(quote);
                    at += 1;
                }
            }
            // What stands after a closing quote belongs to the field too.
            let end = memchr(delimiter, &line[at..]).map(|length| at + length);
            let rest = &line[at..end.unwrap_or(line.len())];
            self.has_text_behind_quote |= is_quoted && !rest.trim_ascii().is_empty();
            text.extend_from_slice(rest);
            self.spans.push(start..text.len());
            match end {
                Some(end) => at = end + 1,
                None => return Ok(()),
            }
        }
    }

    /// The fields of the line that was cut last, which must be the same.
    pub fn parts<'a>(&'a self, line: &'a [u8]) -> Parts<'a> {
        Parts {
            text: if self.has_quotes { &self.unquoted } else { line },
            spans: &self.spans,
            quoted: &self.quoted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(line: &str, delimiter: &str) -> (Vec<String>, Option<usize>) {
        let mut cutter = Cutter::new(delimiter, Some(b'"'));
        let opened = cutter.cut(line.as_bytes()).err();
        let parts = cutter.parts(line.as_bytes());
        let fields = parts.iter().map(|field| String::from_utf8(field.to_vec()).unwrap());
        (fields.collect(), opened)
    }

    #[test]
    fn fields_are_cut_and_unquoted() {
        for (line, delimiter, wanted) in [
            ("a,b,,", ",", vec!["a", "b", "", ""]),
            ("a::b:c::", "::", vec!["a", "b:c", ""]),
            ("\"a::b\"::c", "::", vec!["\"a", "b\"", "c"]),
            (
                "\"B,2\",x\"y\",\"\",\"say \"\"no\"\"\"",
                ",",
                vec!["B,2", "x\"y\"", "", "say \"no\""],
            ),
            ("\"a\"b\"c,d", ",", vec!["ab\"c", "d"]),
        ] {
            assert_eq!(
                cut(line, delimiter),
                (wanted.iter().map(|text| text.to_string()).collect(), None),
                "{line}"
            );
        }
        assert_eq!(cut("a,\"b,c", ","), (vec!["a".to_string(), "b,c".to_string()], Some(2)));
    }

    #[test]
    fn padding_is_no_text_and_without_a_quote_every_character_is() {
        let mut cutter = Cutter::new(",", Some(b'"'));
        let line = b" a ,\" b \",c\t".as_slice();
        cutter.cut(line).unwrap();
        let parts = cutter.parts(line);
        let trimmed: Vec<_> = (0..3).map(|number| parts.get_trimmed(number).unwrap()).collect();
        assert_eq!(trimmed, [b"a".as_slice(), b" b ", b"c"]);
        assert!(!cutter.has_text_behind_quote());
        let inches = b"\"5\" disk,10\",3".as_slice();
        cutter.cut(inches).unwrap();
        assert!(cutter.has_text_behind_quote());
        let mut cutter = Cutter::new(",", None);
        cutter.cut(inches).unwrap();
        assert_eq!(
            cutter.parts(inches).iter().collect::<Vec<_>>(),
            [b"\"5\" disk".as_slice(), b"10\"", b"3"]
        );
    }

    proptest! {
        #[test]
        fn one_line_is_cut_as_the_csv_crate_cuts_it(line in "[a,\" ;é]{1,20}") {
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(line.as_bytes());
            let mut record = csv::StringRecord::new();
            reader.read_record(&mut record).unwrap();
            let wanted: Vec<String> = record.iter().map(str::to_string).collect();
            prop_assert_eq!(cut(&line, ",").0, wanted);
        }
    }
}
