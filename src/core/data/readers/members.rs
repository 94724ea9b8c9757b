//! Packed members, one behind the other, as gzip and bzip2 write them, and what may stand behind them.
//!
//! Zeros behind the last member are the padding of tapes and blocks. Anything else there is no data; it is left alone and said.

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use std::io::{BufRead, Read, Result};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Unpacks one member.
pub trait Member<R>: Read {
    /// What a member begins with.
    const FIRST: u8;

    /// The member that `input` stands at.
    fn begin(input: R) -> Self;

    /// The input, behind the member.
    fn end(self) -> R;
}

impl<R: BufRead> Member<R> for GzDecoder<R> {
    const FIRST: u8 = 0x1f;

    fn begin(input: R) -> Self {
        Self::new(input)
    }

    fn end(self) -> R {
        self.into_inner()
    }
}

impl<R: BufRead> Member<R> for BzDecoder<R> {
    const FIRST: u8 = b'B';

    fn begin(input: R) -> Self {
        Self::new(input)
    }

    fn end(self) -> R {
        self.into_inner()
    }
}

/// Whether something that is neither a member nor padding was met behind the data.
#[derive(Clone, Debug, Default)]
pub struct Garbage(Arc<AtomicBool>);

impl Garbage {
    /// Whether it was, so far.
    pub fn was_met(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Reads all members as one text.
pub struct Members<M, R> {
    /// Gone after the last member.
    decoder: Option<M>,
    garbage: Garbage,
    input: PhantomData<R>,
}

impl<R: BufRead, M: Member<R>> Members<M, R> {
    /// Members of `input`, which must begin with one.
    pub fn new(input: R, garbage: Garbage) -> Self {
        Self {
            decoder: Some(M::begin(input)),
            garbage,
            input: PhantomData,
        }
    }
}

impl<R: BufRead, M: Member<R>> Read for Members<M, R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(decoder) = &mut self.decoder {
            let read = decoder.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            let mut input = self.decoder.take().expect("it was just read from").end();
            self.decoder = match next_byte(&mut input)? {
                None => None,
                Some(first) if first == M::FIRST => Some(M::begin(input)),
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
    use std::io::{Cursor, Write};

    fn gzip(text: &str) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    }

    fn bzip2(text: &str) -> Vec<u8> {
        let mut packed = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    }

    fn check<M: Member<Cursor<Vec<u8>>>>(pack: fn(&str) -> Vec<u8>) {
        let unpack = |bytes: &[u8]| {
            let garbage = Garbage::default();
            let mut text = String::new();
            let read = Members::<M, _>::new(Cursor::new(bytes.to_vec()), garbage.clone()).read_to_string(&mut text);
            read.map(|_| (text, garbage.was_met()))
        };
        let read = |bytes: &[u8]| unpack(bytes).unwrap();
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
        assert!(unpack(&cut).is_err());
    }

    #[test]
    fn members_are_one_text_and_padding_is_none() {
        check::<GzDecoder<_>>(gzip);
        check::<BzDecoder<_>>(bzip2);
    }
}
