//! Gzip members, one behind the other, and what may stand behind them.
//!
//! Zeros behind the last member are the padding of tapes and blocks. Anything else there is no data; it is left alone and said.

use flate2::bufread::GzDecoder;
use std::io::{BufRead, Read, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether something that is neither gzip nor padding was met behind the data.
#[derive(Clone, Debug, Default)]
pub struct Garbage(Arc<AtomicBool>);

impl Garbage {
    /// Whether it was, so far.
    pub fn was_met(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Reads all members as one text.
pub struct Members<R> {
    /// Gone after the last member.
    decoder: Option<GzDecoder<R>>,
    garbage: Garbage,
}

impl<R: BufRead> Members<R> {
    /// Members of `input`, which must begin with one.
    pub fn new(input: R, garbage: Garbage) -> Self {
        Self {
            decoder: Some(GzDecoder::new(input)),
            garbage,
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(decoder) = &mut self.decoder {
            let read = decoder.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            let mut input = self.decoder.take().expect("it was just read from").into_inner();
            self.decoder = match next_byte(&mut input)? {
                None => None,
                Some(0x1f) => Some(GzDecoder::new(input)),
                Some(_) => {
                    self.garbage.0.store(true, Ordering::Relaxed);
                    None
                }
            };
        }
        Ok(0)
    }
}

/// The next byte that is not zero, left where it is.
fn next_byte(input: &mut impl BufRead) -> Result<Option<u8>> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        match buffer.iter().position(|byte| *byte != 0) {
            Some(place) => {
                let byte = buffer[place];
                input.consume(place);
                return Ok(Some(byte));
            }
            None => {
                let zeros = buffer.len();
                input.consume(zeros);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn pack(text: &str) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn members_are_one_text_and_padding_is_none() {
        let read = |bytes: &[u8]| {
            let garbage = Garbage::default();
            let mut text = String::new();
            Members::new(bytes, garbage.clone()).read_to_string(&mut text).unwrap();
            (text, garbage.was_met())
        };
        let two = [pack("a,"), pack(""), pack("b")].concat();
        assert_eq!(read(&two), ("a,b".to_string(), false));
        assert_eq!(read(&[two.as_slice(), &[0; 700]].concat()), ("a,b".to_string(), false));
        assert_eq!(
            read(&[two.as_slice(), &[0; 7], &pack("c")].concat()),
            ("a,bc".to_string(), false)
        );
        assert_eq!(
            read(&[two.as_slice(), &[0, 0, 9, 9]].concat()),
            ("a,b".to_string(), true)
        );
        let cut = [two.as_slice(), &pack("c")[..9]].concat();
        let mut text = String::new();
        assert!(
            Members::new(cut.as_slice(), Garbage::default())
                .read_to_string(&mut text)
                .is_err()
        );
    }
}
