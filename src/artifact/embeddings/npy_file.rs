//! A matrix as numpy's `.npy`, written as a stream: f32, little-endian, row after row.
//!
//! Version 1.0: the magic `\x93NUMPY`, two bytes of version, the header's length as u16, and the header, a Python dictionary
//! that ends with a line break and is padded so that the numbers begin at a multiple of 64 bytes.
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use crate::artifact::tensor_file::FileError;
use crate::common::whole_file::WholeFile;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A matrix on its way. Dropped before its end it leaves nothing behind.
pub struct NpyFile {
    path: PathBuf,
    file: WholeFile,
    left: usize,
}

impl NpyFile {
    /// Begins a matrix `[rows, columns]`.
    pub fn create(path: &Path, rows: usize, columns: usize) -> Result<Self, FileError> {
        let begin = || {
            let mut file = WholeFile::create(path)?;
            file.write_all(&header(rows, columns))?;
            Ok(file)
        };
        Ok(Self {
            path: path.to_path_buf(),
            file: begin().map_err(FileError::write(path))?,
            left: rows * columns,
        })
    }

    /// Appends numbers. Panics if they are more than the header announced.
    pub fn append(&mut self, numbers: &[f32]) -> Result<(), FileError> {
        let left = self.left.checked_sub(numbers.len());
        self.left = left.expect("no more numbers than the header announced");
        self.file
            .write_all(bytemuck::cast_slice(numbers))
            .map_err(FileError::write(&self.path))
    }

    /// Syncs and renames. Panics if numbers are missing.
    pub fn finish(self) -> Result<(), FileError> {
        assert_eq!(self.left, 0, "NpyFile: {} numbers are missing", self.left);
        self.file.finish().map_err(FileError::write(&self.path))
    }
}

fn header(rows: usize, columns: usize) -> Vec<u8> {
    const BEFORE: usize = 10;
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let length = (BEFORE + text.len() + 1).next_multiple_of(64) - BEFORE;
    text.extend(std::iter::repeat_n(' ', length - 1 - text.len()));
    text.push('\n');
    let length = u16::try_from(length).expect("two numbers are short");
    [b"\x93NUMPY\x01\x00".as_slice(), &length.to_le_bytes(), text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_begin_at_a_multiple_of_64_whatever_the_shape() {
        for (rows, columns) in [(0, 1), (3, 5), (4_201_696, 65), (usize::MAX, 513)] {
            let header = header(rows, columns);
            assert_eq!(header.len() % 64, 0);
            assert_eq!(
                usize::from(u16::from_le_bytes([header[8], header[9]])),
                header.len() - 10
            );
            assert_eq!(header.last(), Some(&b'\n'));
        }
    }
}
