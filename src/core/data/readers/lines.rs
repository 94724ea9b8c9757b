//! Lines of a text, each with its exact number.

use super::zip::Refusal;
use crate::data::fault::IngestError;
use memchr::memchr2;
use std::io::{BufRead, ErrorKind};
use std::path::{Path, PathBuf};

/// Longest line that is read, in bytes: past it, memory would fill up with what is no row of ratings.
pub const MAX_LINE_BYTES: usize = 64 << 20;

/// What unpacking may hold in memory; `xz -9` wants 64 MiB.
pub const MAX_UNPACKING_MEBIBYTES: u32 = 256;

/// Reads a text line by line. A line ends in LF, CR LF or CR, and all lines count, empty ones too.
pub struct Lines<'a> {
    path: PathBuf,
    compression: Option<&'static str>,
    input: Box<dyn BufRead + 'a>,
    text: Vec<u8>,
    number: u64,
    /// The last line ended in CR: an LF that follows belongs to it.
    after_cr: bool,
}

impl<'a> Lines<'a> {
    /// Lines of `input`, which is unpacked already; `path` and `compression` are for messages.
    pub fn new(path: &Path, compression: Option<&'static str>, input: Box<dyn BufRead + 'a>) -> Self {
        Self {
            path: path.to_path_buf(),
            compression,
            input,
            text: Vec::new(),
            number: 0,
            after_cr: false,
        }
    }

    /// Goes to the next line that is not empty; false at the end. Errors if the text cannot be read, or a line is too long.
    pub fn advance(&mut self) -> Result<bool, IngestError> {
        loop {
            self.text.clear();
            if !self.read_line()? {
                return Ok(false);
            }
            if !self.text.is_empty() {
                return Ok(true);
            }
        }
    }

    /// Joins the next line to this one, a line feed between them; false at the end. Errors as [`Lines::advance`] does.
    pub fn join_next(&mut self) -> Result<bool, IngestError> {
        let end = self.text.len();
        self.text.push(b'\n');
        let joined = self.read_line()?;
        if !joined {
            self.text.truncate(end);
        }
        Ok(joined)
    }

    /// The line without its end.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Its number, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The file, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line to the text; false at the end.
    fn read_line(&mut self) -> Result<bool, IngestError> {
        let start = self.text.len();
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(read_error(&self.path, self.compression, self.number, error)),
            };
            if buffer.is_empty() {
                // The last line may lack its end.
                let is_line = self.text.len() > start;
                self.number += u64::from(is_line);
                return Ok(is_line);
            }
            if std::mem::take(&mut self.after_cr) && buffer[0] == b'\n' {
                self.input.consume(1);
                continue;
            }
            if let Some(end) = memchr2(b'\n', b'\r', buffer) {
                self.text.extend_from_slice(&buffer[..end]);
                self.after_cr = buffer[end] == b'\r';
                self.input.consume(end + 1);
                self.number += 1;
                return Ok(true);
            }
            let read = buffer.len();
            self.text.extend_from_slice(buffer);
            self.input.consume(read);
            if self.text.len() > MAX_LINE_BYTES {
                return Err(IngestError::LongRow {
                    path: self.path.clone(),
                    line: self.number + 1,
                    mebibytes: MAX_LINE_BYTES >> 20,
                });
            }
        }
    }
}

/// A fault of the stream in the user's words; `line` is the last one that was read whole.
pub fn read_error(path: &Path, compression: Option<&'static str>, line: u64, error: std::io::Error) -> IngestError {
    let path = path.to_path_buf();
    let error = match error.downcast::<Refusal>() {
        Ok(Refusal::Other(found, hint)) => return IngestError::Format { path, found, hint },
        Ok(Refusal::SeveralTables(names)) => return IngestError::SeveralTables { path, names },
        Err(error) => error,
    };
    match compression {
        Some(_) if error.kind() == ErrorKind::OutOfMemory || error.to_string().contains("too much memory") => {
            IngestError::Format {
                path,
                found: "packed so tightly that much memory is needed to unpack it",
                hint: "unpack it first: `xz -d FILE`, or `zstd -d --long=31 FILE`",
            }
        }
        Some(compression) if error.kind() == ErrorKind::UnexpectedEof => IngestError::Truncated {
            path,
            compression,
            line,
        },
        Some(compression) => IngestError::Damaged {
            path,
            compression,
            line,
            message: error.to_string(),
        },
        None => IngestError::Read {
            path,
            message: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::hint::Hint;
    use std::io::{BufReader, Read};

    /// Reads one byte at a time, so that every seam between buffers is met.
    struct Dribble<'a>(&'a [u8]);

    impl Read for Dribble<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let read = self.0.len().min(buffer.len()).min(1);
            buffer[..read].copy_from_slice(&self.0[..read]);
            self.0 = &self.0[read..];
            Ok(read)
        }
    }

    #[test]
    fn numbers_count_every_kind_of_line_end_and_empty_lines() {
        let text = b"one\n\ntwo\r\n\r\n\r\nthree\rfour\r\rfive\n\r\nsix";
        let wanted = [
            ("one", 1),
            ("two", 3),
            ("three", 6),
            ("four", 7),
            ("five", 9),
            ("six", 11),
        ];
        let inputs: [Box<dyn BufRead>; 2] = [Box::new(&text[..]), Box::new(BufReader::new(Dribble(text)))];
        for input in inputs {
            let mut lines = Lines::new(Path::new("x"), None, input);
            for (text, number) in wanted {
                assert!(lines.advance().unwrap());
                assert_eq!((lines.text(), lines.number()), (text.as_bytes(), number));
            }
            assert!(!lines.advance().unwrap() && !lines.advance().unwrap());
        }
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let endless = BufReader::new(std::io::repeat(b'x'));
        let start: &[u8] = b"a,b,5\n";
        let mut lines = Lines::new(Path::new("FILE"), None, Box::new(start.chain(endless)));
        assert!(lines.advance().unwrap());
        let error = lines.advance().unwrap_err();
        assert_eq!(
            format!("{error}\nhint: {}", error.hint()),
            "the row is longer than 64 MiB (FILE:2)\n\
             hint: is it a table of ratings, with one row a line? if it is packed or binary, unpack or convert it first"
        );
    }
}
