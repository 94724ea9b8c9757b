//! Pages: a digest for every 64 KiB of the files that are read where they lie, so that what is read is checked, and no more.
//!
//! `pages.safetensors`: for each of these files a u64 tensor of its name, the XXH3-64 of its pages in their order; the last
//! page is as long as the file has it. A command that answers about one user reads a few pages of tables of gigabytes, so a
//! digest of the whole would cost it more than the answer. A page is checked when it is first read, once in a process: what
//! the system reads again from a disk that rots meanwhile is not seen.

use super::tensor_file::{FileError, TensorSpec, TensorWriter};
use crate::common::regular_file;
use rayon::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of a page: the system reads about as much at once, and the digests of a file are an 8,192th of it.
pub const PAGE: usize = 64 << 10;
/// Pages that one task checks: fewer are not worth a thread.
const PAGES_PER_TASK: usize = 32;

/// The digest of one page.
pub fn digest(page: &[u8]) -> u64 {
    xxh3_64(page)
}

/// The digests of the pages of a run's files, by the files' names.
#[derive(Debug, Default)]
pub struct PageDigests {
    files: HashMap<String, Vec<u64>>,
}

impl PageDigests {
    /// Writes the digests of files in their order.
    pub fn write(path: &Path, files: &[(&'static str, Vec<u64>)]) -> Result<(), FileError> {
        let specs: Vec<TensorSpec> = files
            .iter()
            .map(|&(name, ref digests)| TensorSpec::new(name, Dtype::U64, &[digests.len()]))
            .collect();
        let mut file = TensorWriter::create(path, &specs, None)?;
        for (_, digests) in files {
            file.append(digests)?;
        }
        file.finish()
    }

    /// Reads the digests of the files that are named. Errors if one has none.
    pub fn read(path: &Path, names: &[&str]) -> Result<Self, FileError> {
        let bytes = regular_file::read(path).map_err(FileError::read(path))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| FileError::damaged(path, error.to_string()))?;
        let mut files = HashMap::new();
        for &name in names {
            let tensor = tensors.tensor(name).ok().filter(|tensor| tensor.dtype() == Dtype::U64);
            let tensor = tensor.ok_or_else(|| FileError::damaged(path, format!("it has no digests of `{name}`")))?;
            let (words, _) = tensor.data().as_chunks::<8>();
            let digests = words.iter().map(|word| u64::from_ne_bytes(*word)).collect();
            files.insert(name.to_string(), digests);
        }
        Ok(Self { files })
    }

    /// The pages of a file, none of them checked yet; `None` if nothing vouches for them.
    pub fn of(&self, name: &str) -> Option<Pages> {
        self.files.get(name).map(|digests| Pages::new(digests.clone()))
    }
}

/// The pages of an open file, and which of them were checked.
pub struct Pages {
    digests: Vec<u64>,
    /// A bit a page. A page does not change, so it is no matter in which order threads see the bits.
    checked: Vec<AtomicU64>,
}

impl Pages {
    /// Pages of which none is checked.
    pub fn new(digests: Vec<u64>) -> Self {
        let words = digests.len().div_ceil(64);
        Self {
            digests,
            checked: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Whether a file of so many bytes has these pages.
    pub fn fit(&self, bytes: usize) -> bool {
        self.digests.len() == bytes.div_ceil(PAGE)
    }

    /// Checks the pages of `file` in which `range` lies, those that were not checked before; returns the bytes of the first
    /// that is not as its digest says. Many are checked on threads. Panics if they do not fit the file.
    pub fn check(&self, file: &[u8], range: Range<usize>) -> Result<(), Range<usize>> {
        if range.is_empty() {
            return Ok(());
        }
        let pages = range.start / PAGE..(range.end - 1) / PAGE + 1;
        let left: Vec<usize> = pages.filter(|&page| !self.is_checked(page)).collect();
        let is_wrong = |page: &usize| !self.is_right(file, *page);
        let wrong = match left.len() > PAGES_PER_TASK {
            true => left.into_par_iter().with_min_len(PAGES_PER_TASK).find_first(is_wrong),
            false => left.into_iter().find(is_wrong),
        };
        wrong.map_or(Ok(()), |page| Err(Self::bytes(file, page)))
    }

    fn is_checked(&self, page: usize) -> bool {
        self.checked[page / 64].load(Ordering::Relaxed) >> (page % 64) & 1 == 1
    }

    /// Whether a page is as its digest says; if so, it is not looked at again.
    fn is_right(&self, file: &[u8], page: usize) -> bool {
        let is_right = digest(&file[Self::bytes(file, page)]) == self.digests[page];
        if is_right {
            self.checked[page / 64].fetch_or(1 << (page % 64), Ordering::Relaxed);
        }
        is_right
    }

    fn bytes(file: &[u8], page: usize) -> Range<usize> {
        page * PAGE..file.len().min((page + 1) * PAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_checked_and_nothing_else() {
        // More pages than one task checks, the last of them short.
        let (pages, short) = (3 * PAGES_PER_TASK, 100);
        let file: Vec<u8> = (0..(pages - 1) * PAGE + short)
            .map(|place| (place * 7 / 11) as u8)
            .collect();
        let digests: Vec<u64> = file.chunks(PAGE).map(digest).collect();
        assert!(Pages::new(digests.clone()).fit(file.len()) && !Pages::new(digests.clone()).fit(file.len() - short));
        for wrong in [0, 1, pages - 2, pages - 1] {
            let mut rotten = file.clone();
            let bytes = Pages::bytes(&file, wrong);
            rotten[bytes.start + 50] ^= 1;
            let pages = Pages::new(digests.clone());
            assert_eq!(pages.check(&rotten, 0..rotten.len()), Err(bytes.clone()));
            assert_eq!(pages.check(&rotten, bytes.end - 1..bytes.end), Err(bytes.clone()));
            assert_eq!(pages.check(&rotten, bytes.start..bytes.start), Ok(()));
            assert_eq!(pages.check(&rotten, 0..bytes.start), Ok(()));
            assert_eq!(pages.check(&rotten, bytes.end..rotten.len().max(bytes.end)), Ok(()));
            assert_eq!(pages.check(&file, 0..file.len()), Ok(()));
        }
    }

    #[test]
    fn digests_are_read_as_they_were_written_and_those_that_are_missing_are_named() {
        let path = std::env::temp_dir().join(format!("dotcart-pages-{}", std::process::id()));
        PageDigests::write(&path, &[("a", vec![1, u64::MAX]), ("b", vec![])]).unwrap();
        let read = PageDigests::read(&path, &["a", "b"]).unwrap();
        assert_eq!(
            read.files,
            HashMap::from([("a".to_string(), vec![1, u64::MAX]), ("b".to_string(), vec![])])
        );
        assert!(read.of("a").unwrap().fit(PAGE + 1) && read.of("c").is_none());
        let error = PageDigests::read(&path, &["c"]).unwrap_err().to_string();
        assert!(error.ends_with("is damaged: it has no digests of `c`"), "{error}");
        std::fs::remove_file(path).unwrap();
    }
}
