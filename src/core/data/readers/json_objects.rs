//! JSON objects one behind the other, on as many lines as they like: a list of them, or objects over several lines.

use super::lines::{MAX_LINE_BYTES, read_error};
use crate::data::fault::IngestError;
use std::io::{BufRead, ErrorKind};
use std::path::{Path, PathBuf};

/// Cuts a text into its objects.
pub struct Objects<'a> {
    path: PathBuf,
    compression: Option<&'static str>,
    input: Box<dyn BufRead + 'a>,
    text: Vec<u8>,
    /// Line in which the object begins.
    number: u64,
    line: u64,
    /// A list began, and has not ended.
    in_list: bool,
}

impl<'a> Objects<'a> {
    /// Objects of `input`; `path` and `compression` are for messages.
    pub fn new(path: &Path, compression: Option<&'static str>, input: Box<dyn BufRead + 'a>) -> Self {
        Self {
            path: path.to_path_buf(),
            compression,
            input,
            text: Vec::new(),
            number: 0,
            line: 1,
            in_list: false,
        }
    }

    /// The object, or whatever stands in its place.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The line in which it begins, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Goes to the next object; false at the end. Errors if the text cannot be read, or a list does not end.
    pub fn advance(&mut self) -> Result<bool, IngestError> {
        self.text.clear();
        let (mut depth, mut in_string, mut is_escaped) = (0usize, false, false);
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(read_error(&self.path, self.compression, self.line, error)),
            };
            if buffer.is_empty() {
                return match (self.text.is_empty(), self.in_list) {
                    (false, _) => Ok(true),
                    (true, false) => Ok(false),
                    (true, true) => Err(IngestError::Read {
                        path: self.path.clone(),
                        message: format!(
                            "the JSON list does not end; was the file cut? (after line {})",
                            self.line
                        ),
                    }),
                };
            }
            let mut used = 0;
            let mut is_whole = false;
            for &byte in buffer {
                used += 1;
                self.line += u64::from(byte == b'\n');
                if self.text.is_empty() {
                    match byte {
                        b'[' => self.in_list = true,
                        b']' => self.in_list = false,
                        b',' => {}
                        byte if byte.is_ascii_whitespace() => {}
                        byte => {
                            self.number = self.line;
                            self.text.push(byte);
                            depth = usize::from(byte == b'{');
                            in_string = byte == b'"';
                        }
                    }
                    continue;
                }
                if depth == 0 && !in_string && matches!(byte, b',' | b']' | b'\n') {
                    // Something that is no object ends here.
                    self.in_list &= byte != b']';
                    is_whole = true;
                    break;
                }
                self.text.push(byte);
                match byte {
                    _ if is_escaped => is_escaped = false,
                    b'\\' if in_string => is_escaped = true,
                    b'"' => in_string = !in_string,
                    b'{' | b'[' if !in_string => depth += 1,
                    b'}' | b']' if !in_string => {
                        depth = depth.saturating_sub(1);
                        if depth == 0 {
                            is_whole = true;
                            break;
                        }
                    }
                    _ => {}
                }
            }
            self.input.consume(used);
            if is_whole {
                return Ok(true);
            }
            if self.text.len() > MAX_LINE_BYTES {
                return Err(IngestError::LongRow {
                    path: self.path.clone(),
                    line: self.number,
                    mebibytes: MAX_LINE_BYTES >> 20,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(text: &str) -> Result<Vec<(String, u64)>, IngestError> {
        let mut objects = Objects::new(Path::new("x"), None, Box::new(text.as_bytes()));
        let mut found = Vec::new();
        while objects.advance()? {
            found.push((String::from_utf8(objects.text().to_vec()).unwrap(), objects.number()));
        }
        Ok(found)
    }

    #[test]
    fn lists_and_objects_over_several_lines_are_cut_at_their_braces() {
        let found = objects("[{\"a\": \"}],{\\\"\"},\n {\"b\":\n[1, {\"c\": 2}]} ,7,{}\n]\n").unwrap();
        let wanted = [
            ("{\"a\": \"}],{\\\"\"}", 1),
            ("{\"b\":\n[1, {\"c\": 2}]}", 2),
            ("7", 3),
            ("{}", 3),
        ];
        assert_eq!(found, wanted.map(|(text, line)| (text.to_string(), line)));
        assert_eq!(
            objects("{\n}\n{\"a\":\n").unwrap().len(),
            2,
            "what is cut is told by its reader"
        );
        assert!(objects("[{},\n").unwrap_err().to_string().contains("does not end"));
    }
}
