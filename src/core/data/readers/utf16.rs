//! UTF-16 text as UTF-8, as spreadsheets write it with a mark in front.

use std::io::{Read, Result};

/// Reads UTF-16 and gives UTF-8; what is no character becomes a byte that is no UTF-8, so that its row counts as bad.
pub struct Utf16<R> {
    input: R,
    is_big_endian: bool,
    /// A byte whose other half is not read yet.
    half: Option<u8>,
    /// A high surrogate that waits for its low one.
    high: Option<u16>,
    /// Decoded, and given out from `given` on.
    text: Vec<u8>,
    given: usize,
    raw: Vec<u8>,
}

/// What is no character.
const BROKEN: u8 = 0xff;

impl<R: Read> Utf16<R> {
    /// Text of `input`, whose mark is read already.
    pub fn new(input: R, is_big_endian: bool) -> Self {
        Self {
            input,
            is_big_endian,
            half: None,
            high: None,
            text: Vec::new(),
            given: 0,
            raw: vec![0; 1 << 16],
        }
    }

    fn unit(&mut self, unit: u16) {
        let high = self.high.take();
        let character = match (high, unit) {
            (Some(high), 0xdc00..=0xdfff) => {
                let code = 0x1_0000 + (u32::from(high - 0xd800) << 10) + u32::from(unit - 0xdc00);
                char::from_u32(code)
            }
            (high, 0xd800..=0xdbff) => {
                self.text.extend(high.map(|_| BROKEN));
                self.high = Some(unit);
                return;
            }
            (high, unit) => {
                self.text.extend(high.map(|_| BROKEN));
                char::from_u32(u32::from(unit))
            }
        };
        match character {
            Some(character) => self
                .text
                .extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            None => self.text.push(BROKEN),
        }
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while self.given == self.text.len() {
            self.text.clear();
            self.given = 0;
            let mut raw = std::mem::take(&mut self.raw);
            let read = self.input.read(&mut raw);
            if let Ok(read) = read {
                for &byte in &raw[..read] {
                    match self.half.take() {
                        None => self.half = Some(byte),
                        Some(first) if self.is_big_endian => self.unit(u16::from_be_bytes([first, byte])),
                        Some(first) => self.unit(u16::from_le_bytes([first, byte])),
                    }
                }
            }
            self.raw = raw;
            if read? == 0 {
                let is_cut = self.half.take().is_some() | self.high.take().is_some();
                if !is_cut {
                    return Ok(0);
                }
                self.text.push(BROKEN);
            }
        }
        let given = buffer.len().min(self.text.len() - self.given);
        buffer[..given].copy_from_slice(&self.text[self.given..self.given + given]);
        self.given += given;
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(units: &[u16], tail: &[u8]) -> Vec<u8> {
        let mut texts = [true, false].map(|is_big| {
            let bytes = units
                .iter()
                .flat_map(|unit| if is_big { unit.to_be_bytes() } else { unit.to_le_bytes() });
            let bytes: Vec<u8> = bytes.chain(tail.iter().copied()).collect();
            let mut text = Vec::new();
            Utf16::new(bytes.as_slice(), is_big).read_to_end(&mut text).unwrap();
            text
        });
        assert_eq!(texts[0], texts[1]);
        std::mem::take(&mut texts[0])
    }

    #[test]
    fn every_character_comes_out_and_halves_are_no_utf_8() {
        let text = "a,é\r\n電,🛒";
        let units: Vec<u16> = text.encode_utf16().collect();
        assert_eq!(decode(&units, &[]), text.as_bytes());
        assert_eq!(decode(&[0xd83d, 0x61], &[]), [BROKEN, b'a']);
        assert_eq!(decode(&[0x61, 0xde00], &[]), [b'a', BROKEN]);
        assert_eq!(decode(&[0x61], &[0x62]), [b'a', BROKEN]);
    }
}
