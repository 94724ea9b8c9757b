//! The one table of a zip archive, as a stream.
//!
//! The entries are read from front to back by the headers before them, so that a pipe can be read too. Folders, hidden files, what
//! macOS adds and notes such as `README.txt` are passed over. Its own reader, because the crate for zip costs 19 seconds of building
//! and wants to jump to an archive's end. Source: APPNOTE.TXT 6.3.10 of PKWARE.

use crate::data::foreign::zip_of;
use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use std::io::{BufRead, Error, ErrorKind, Read, Result, Seek, SeekFrom, Take};

/// What an archive with files in it begins with.
pub const MAGIC: &[u8] = b"PK\x03\x04";

/// Why the table of an archive is not read, in the `io::Error` that says so.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// What the archive is instead, and what to do with it.
    #[error("{0}")]
    Other(&'static str, &'static str),
    /// Names of its tables.
    #[error("more than one table")]
    SeveralTables(Vec<String>),
}

fn refuse(found: &'static str, hint: &'static str) -> Error {
    Error::other(Refusal::Other(found, hint))
}

const UNZIP: &str = "unpack it first: `unzip FILE`";

/// Names of all entries, from the directory at the archive's end; `None` if it is not there, or cannot be jumped to.
pub fn names(archive: &mut (impl Read + Seek)) -> Option<Vec<String>> {
    /// Length of the record at the end without its comment, and of the longest comment.
    const END: usize = 22;
    const COMMENT: u64 = 0xffff;
    /// Larger directories are not looked at.
    const DIRECTORY: u64 = 16 << 20;
    let size = archive.seek(SeekFrom::End(0)).ok()?;
    let from = size.saturating_sub(COMMENT + END as u64 + 20);
    let tail = read_at(archive, from, size - from)?;
    let end = memchr::memmem::rfind(&tail, b"PK\x05\x06")?;
    let (mut length, mut place) = (number(&tail, end + 12, 4)?, number(&tail, end + 16, 4)?);
    if place == u64::from(u32::MAX) {
        let locator = end.checked_sub(20)?;
        let record = read_at(archive, number(&tail, locator + 8, 8)?, 56)?;
        (length, place) = (number(&record, 40, 8)?, number(&record, 48, 8)?);
    }
    let directory = read_at(archive, place, length.min(DIRECTORY))?;
    let mut names = Vec::new();
    let mut at = 0;
    while directory.get(at..at + 4) == Some(b"PK\x01\x02") {
        let length = |place| number(&directory, at + place, 2).map(|length| length as usize);
        let (name, extra, comment) = (length(28)?, length(30)?, length(32)?);
        names.push(String::from_utf8_lossy(directory.get(at + 46..at + 46 + name)?).into_owned());
        at += 46 + name + extra + comment;
    }
    Some(names)
}

fn read_at(archive: &mut (impl Read + Seek), place: u64, length: u64) -> Option<Vec<u8>> {
    archive.seek(SeekFrom::Start(place)).ok()?;
    let mut bytes = Vec::new();
    archive.take(length).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// A number of `width` bytes, the lowest first.
fn number(bytes: &[u8], place: usize, width: usize) -> Option<u64> {
    let bytes = bytes.get(place..place.checked_add(width)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

/// Whether an entry may be a table.
fn is_table(name: &str) -> bool {
    let mut folders: Vec<&str> = name.split('/').collect();
    let file = folders.pop().unwrap_or_default();
    let stem = file.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let is_hidden = |name: &str| name.starts_with('.') || name == "__MACOSX";
    let is_note = ["readme", "license", "licence", "changelog"].contains(&stem.as_str())
        || [".md", ".pdf", ".html"].iter().any(|end| file.ends_with(end));
    !(file.is_empty() || file.starts_with(['.', '_']) || is_note || folders.into_iter().any(is_hidden))
}

/// The text of an archive's one table.
pub struct Table<R> {
    /// Gone after the last entry.
    body: Option<Body<R>>,
    entry: Entry,
    crc: Crc,
}

/// What the header before an entry says.
struct Entry {
    name: String,
    is_deflated: bool,
    /// Checksum and length; if they are not known they stand behind the entry.
    sums: Option<(u32, u64)>,
}

enum Body<R> {
    Stored(Take<R>),
    Deflated(DeflateDecoder<R>),
}

impl<R: BufRead> Body<R> {
    fn into_inner(self) -> R {
        match self {
            Self::Stored(body) => body.into_inner(),
            Self::Deflated(body) => body.into_inner(),
        }
    }
}

impl<R: BufRead> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Self::Stored(body) => body.read(buffer),
            Self::Deflated(body) => body.read(buffer),
        }
    }
}

impl<R: BufRead> Table<R> {
    /// The table of the archive that `input` stands at the start of; `names` are those of its entries, if they are known.
    ///
    /// Errors with a [`Refusal`] if there is none, if there are several, or if it is packed as it is not read.
    pub fn open(mut input: R, names: Option<&[String]>) -> Result<Self> {
        if let Some(names) = names {
            refuse_others(names)?;
        }
        let Some(entry) = next_entry(&mut input)? else {
            return Err(refuse("a zip archive with nothing in it", UNZIP));
        };
        refuse_others(std::slice::from_ref(&entry.name))?;
        let mut table = Self {
            body: Some(body(input, &entry)?),
            entry,
            crc: Crc::new(),
        };
        while !is_table(&table.entry.name) {
            if !table.skip_entry()? {
                return Err(refuse("a zip archive without a table", UNZIP));
            }
        }
        Ok(table)
    }

    /// Passes over an entry that is no table; false behind the last.
    fn skip_entry(&mut self) -> Result<bool> {
        let mut body = self.body.take().expect("an entry is open");
        let length = std::io::copy(&mut body, &mut std::io::sink())?;
        let mut input = body.into_inner();
        if self.entry.sums.is_none() {
            sums_behind(&mut input, length as u32)?;
        }
        self.begin_next(input)
    }

    fn begin_next(&mut self, mut input: R) -> Result<bool> {
        let Some(entry) = next_entry(&mut input)? else {
            return Ok(false);
        };
        self.body = Some(body(input, &entry)?);
        self.entry = entry;
        Ok(true)
    }

    /// Checks the table that was read, and that it was the only one.
    fn finish(&mut self) -> Result<()> {
        let mut input = self.body.take().expect("an entry is open").into_inner();
        if input.fill_buf()?.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        // Modulo 4 GiB, as the sum counts it.
        let length = self.crc.amount();
        let is_whole = match self.entry.sums {
            Some((crc, wanted)) => crc == self.crc.sum() && wanted as u32 == length,
            None => sums_behind(&mut input, length)? == self.crc.sum(),
        };
        if !is_whole {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "its checksum or its length is another",
            ));
        }
        let table = self.entry.name.clone();
        let mut is_more = self.begin_next(input)?;
        while is_more {
            if is_table(&self.entry.name) {
                let tables = vec![table, self.entry.name.clone()];
                return Err(Error::other(Refusal::SeveralTables(tables)));
            }
            is_more = self.skip_entry()?;
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Table<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let Some(body) = self.body.as_mut().filter(|_| !buffer.is_empty()) else {
            return Ok(0);
        };
        let read = body.read(buffer)?;
        self.crc.update(&buffer[..read]);
        if read == 0 {
            self.finish()?;
            self.body = None;
        }
        Ok(read)
    }
}

/// Errors if the entries are those of another kind of file, or if not one of them is the only table.
fn refuse_others(names: &[String]) -> Result<()> {
    if let Some((found, hint)) = zip_of(names) {
        return Err(refuse(found, hint));
    }
    let tables: Vec<String> = names.iter().filter(|name| is_table(name)).cloned().collect();
    match tables.len() {
        0 | 1 => Ok(()),
        _ => Err(Error::other(Refusal::SeveralTables(tables))),
    }
}

/// The header that `input` stands at; `None` if it is the directory behind all entries.
fn next_entry(input: &mut impl BufRead) -> Result<Option<Entry>> {
    let mut magic = [0; 4];
    input.read_exact(&mut magic)?;
    match &magic {
        b"PK\x03\x04" => {}
        b"PK\x01\x02" | b"PK\x05\x06" | b"PK\x06\x06" | b"PK\x06\x08" => return Ok(None),
        _ => return Err(Error::new(ErrorKind::InvalidData, "no entry where one should begin")),
    }
    let mut header = [0; 26];
    input.read_exact(&mut header)?;
    let at = |place: usize, width| number(&header, place - 4, width).expect("it lies in the header");
    let (flags, method) = (at(6, 2), at(8, 2));
    let mut name = vec![0; at(26, 2) as usize];
    input.read_exact(&mut name)?;
    let mut extra = vec![0; at(28, 2) as usize];
    input.read_exact(&mut extra)?;
    if flags & 1 != 0 {
        return Err(refuse(
            "an encrypted zip archive",
            "unpack it first: `unzip FILE` asks for its password",
        ));
    }
    let is_deflated = match method {
        0 => false,
        8 => true,
        9 => return Err(refuse("a zip archive packed with Deflate64", UNZIP)),
        _ => return Err(refuse("a zip archive packed in an unusual way", UNZIP)),
    };
    let is_known = flags & 8 == 0;
    let length = match at(22, 4) {
        0xffff_ffff => long_length(&extra).ok_or(ErrorKind::InvalidData)?,
        length => length,
    };
    if !is_known && !is_deflated {
        return Err(refuse("a zip archive that was written without lengths", UNZIP));
    }
    Ok(Some(Entry {
        name: String::from_utf8_lossy(&name).into_owned(),
        is_deflated,
        sums: is_known.then_some((at(14, 4) as u32, length)),
    }))
}

/// The length of an entry of 4 GiB and more, which stands in the extra field 1.
fn long_length(extra: &[u8]) -> Option<u64> {
    let mut at = 0;
    loop {
        let (kind, length) = (number(extra, at, 2)?, number(extra, at + 2, 2)? as usize);
        if kind == 1 {
            return number(extra, at + 4, 8);
        }
        at += 4 + length;
    }
}

fn body<R: BufRead>(input: R, entry: &Entry) -> Result<Body<R>> {
    match (entry.is_deflated, entry.sums) {
        (true, _) => Ok(Body::Deflated(DeflateDecoder::new(input))),
        (false, Some((_, length))) => Ok(Body::Stored(input.take(length))),
        (false, None) => Err(ErrorKind::InvalidData.into()),
    }
}

/// Passes over what stands behind an entry of `length` bytes, and gives its checksum: a magic that may be left out, the sum, and two
/// lengths, packed and not, of 4 bytes each or of 8.
fn sums_behind(input: &mut impl BufRead, length: u32) -> Result<u32> {
    let mut word = [0; 4];
    input.read_exact(&mut word)?;
    if &word == b"PK\x07\x08" {
        input.read_exact(&mut word)?;
    }
    let mut lengths = [0; 8];
    input.read_exact(&mut lengths)?;
    let are_short = lengths[4..] == length.to_le_bytes() && input.fill_buf()?.first() == Some(&b'P');
    if !are_short {
        input.read_exact(&mut lengths)?;
    }
    Ok(u32::from_le_bytes(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::DeflateEncoder;
    use std::io::{Cursor, Write};

    /// How the sums of an entry are given.
    #[derive(Clone, Copy)]
    enum Sums {
        Before,
        /// Behind it, with a magic or without, the lengths short or long.
        Behind {
            magic: bool,
            long: bool,
        },
    }

    fn archive(entries: &[(&str, &str)], is_deflated: bool, sums: Sums) -> Vec<u8> {
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for (name, text) in entries {
            let mut crc = Crc::new();
            crc.update(text.as_bytes());
            let mut packed = DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(text.as_bytes()).unwrap();
            let packed = match is_deflated {
                true => packed.finish().unwrap(),
                false => text.as_bytes().to_vec(),
            };
            let triple = [crc.sum(), packed.len() as u32, text.len() as u32];
            let (flags, given) = match sums {
                Sums::Before => (0u16, triple),
                Sums::Behind { .. } => (8, [0; 3]),
            };
            let mut fields: Vec<u8> = Vec::new();
            for word in [20, flags, if is_deflated { 8 } else { 0 }, 0, 0] {
                fields.extend(word.to_le_bytes());
            }
            fields.extend(given.iter().flat_map(|word| word.to_le_bytes()));
            fields.extend((name.len() as u16).to_le_bytes());
            let head = [MAGIC, &fields, &[0; 2], name.as_bytes()].concat();
            directory.extend([b"PK\x01\x02\x14\0", fields.as_slice(), &[0; 16], name.as_bytes()].concat());
            bytes.extend([head, packed].concat());
            if let Sums::Behind { magic, long } = sums {
                bytes.extend(magic.then_some(b"PK\x07\x08").into_iter().flatten());
                bytes.extend(triple[0].to_le_bytes());
                for length in &triple[1..] {
                    bytes.extend(length.to_le_bytes());
                    bytes.extend(long.then_some([0; 4]).into_iter().flatten());
                }
            }
        }
        let place = bytes.len() as u32;
        let length = directory.len() as u32;
        bytes.extend(directory);
        bytes.extend([b"PK\x05\x06".as_slice(), &[0; 8]].concat());
        bytes.extend([length, place].iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend([0; 2]);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<String> {
        let mut text = String::new();
        Table::open(bytes, None)?.read_to_string(&mut text)?;
        Ok(text)
    }

    const WAYS: [(bool, Sums); 6] = [
        (false, Sums::Before),
        (true, Sums::Before),
        (
            true,
            Sums::Behind {
                magic: true,
                long: false,
            },
        ),
        (
            true,
            Sums::Behind {
                magic: false,
                long: false,
            },
        ),
        (
            true,
            Sums::Behind {
                magic: true,
                long: true,
            },
        ),
        (
            true,
            Sums::Behind {
                magic: false,
                long: true,
            },
        ),
    ];

    #[test]
    fn the_one_table_is_found_among_notes_and_folders() {
        // Its length begins with the first byte of a magic.
        let table = "x".repeat(0x50);
        let entries = [
            ("ml/", ""),
            ("ml/README.txt", "PK\x03\x04 is how a zip begins"),
            ("__MACOSX/ml/._ratings.csv", "\0"),
            ("ml/ratings.csv", table.as_str()),
            ("ml/.DS_Store", "\0\0"),
        ];
        for (is_deflated, sums) in WAYS {
            let bytes = archive(&entries, is_deflated, sums);
            assert_eq!(read(&bytes).unwrap(), table);
            let found = names(&mut Cursor::new(&bytes)).unwrap();
            assert!(found.iter().eq(entries.iter().map(|(name, _)| name)), "{found:?}");
        }
        assert_eq!(names(&mut Cursor::new(b"a,b,5\n")), None);
    }

    #[test]
    fn several_tables_are_refused_before_and_behind_the_first() {
        let bytes = archive(&[("a.csv", "a"), ("LICENSE", "l"), ("b.csv", "b")], true, WAYS[2].1);
        let names = names(&mut Cursor::new(&bytes)).unwrap();
        let early = Table::open(bytes.as_slice(), Some(&names)).map(drop);
        for result in [early, read(&bytes).map(drop)] {
            let error = result.unwrap_err().downcast::<Refusal>().unwrap();
            assert!(matches!(error, Refusal::SeveralTables(names) if names == ["a.csv", "b.csv"]));
        }
    }

    #[test]
    fn an_archive_that_was_cut_or_changed_is_never_read_to_its_end() {
        let text: String = (0..50).map(|row| format!("u{row},p{row},5\n")).collect();
        for (is_deflated, sums) in WAYS {
            let bytes = archive(&[("ratings.csv", &text)], is_deflated, sums);
            let entries = bytes.len() - 22 - (46 + "ratings.csv".len());
            for end in 4..entries {
                let error = read(&bytes[..end]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "cut at {end}: {error}");
            }
            let sum = match sums {
                Sums::Before => 14,
                Sums::Behind { long, .. } => entries - if long { 20 } else { 12 },
            };
            for place in [45, 60, sum] {
                let mut bytes = bytes.clone();
                bytes[place] ^= 4;
                assert!(read(&bytes).is_err(), "byte {place}");
            }
        }
    }
}
