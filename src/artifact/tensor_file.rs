//! Safetensors files, written as a stream and read through a memory map.
//!
//! The header comes from the `safetensors` crate; the data follows block by block, so that a table of gigabytes is never in
//! memory twice. The same content gives the same bytes. Format: <https://huggingface.co/docs/safetensors>.

use super::pages::Pages;
use crate::common::block::first_not_finite;
use crate::common::hint::{Hint, writing};
use crate::common::regular_file;
use crate::common::whole_file::WholeFile;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata, TensorInfo, TensorView};
use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A file of a run cannot be written, or is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot write `{path}`: {source}")]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot read `{path}`: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("`{path}` is damaged: {fault}")]
    Damaged { path: PathBuf, fault: String },
    #[error("the model has diverged: a number for `{path}` is {value}")]
    Diverged { path: PathBuf, value: f32 },
}

impl FileError {
    /// For `map_err` on a write.
    pub fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::Write {
            path: path.to_path_buf(),
            source,
        }
    }

    /// For `map_err` on a read.
    pub fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::Read {
            path: path.to_path_buf(),
            source,
        }
    }

    /// A number that is not finite.
    pub fn diverged(path: &Path, value: f32) -> Self {
        Self::Diverged {
            path: path.to_path_buf(),
            value,
        }
    }

    /// A fault of the content.
    pub fn damaged(path: &Path, fault: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_path_buf(),
            fault: fault.into(),
        }
    }
}

impl Hint for FileError {
    fn hint(&self) -> String {
        let hint = match self {
            // Large factors of regularisation run away as a large step does.
            Self::Diverged { .. } => {
                "lower `train.learning_rate`; where `train.l2` or `train.prior` is above 1, lower that first"
            }
            Self::Write { source, .. } => writing(source),
            Self::Read { .. } | Self::Damaged { .. } => "restore the file, or train again",
        };
        hint.to_string()
    }
}

/// One tensor to be written.
#[derive(Clone, Debug)]
pub struct TensorSpec {
    pub name: &'static str,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// A tensor of the given type and shape.
    pub fn new(name: &'static str, dtype: Dtype, shape: &[usize]) -> Self {
        Self {
            name,
            dtype,
            shape: shape.to_vec(),
        }
    }

    fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }
}

/// A safetensors file on its way: the header stands, the data is appended in the order of the specs.
///
/// Dropped before its end it leaves nothing behind.
pub struct TensorWriter {
    path: PathBuf,
    file: WholeFile,
    left: usize,
}

impl TensorWriter {
    /// Begins a file. `note` becomes the one metadata entry, under the key `dotcart`.
    ///
    /// Panics if the specs are not ordered by falling element size, which is what keeps every tensor aligned.
    pub fn create(path: &Path, specs: &[TensorSpec], note: Option<&str>) -> Result<Self, FileError> {
        let sizes: Vec<_> = specs.iter().map(|spec| spec.dtype.bitsize()).collect();
        assert!(
            sizes.is_sorted_by(|a, b| a >= b),
            "TensorWriter: element sizes {sizes:?} rise"
        );
        let mut end = 0;
        let infos = specs.iter().map(|spec| {
            let start = end;
            end += spec.bytes();
            let info = TensorInfo {
                dtype: spec.dtype,
                shape: spec.shape.clone(),
                data_offsets: (start, end),
            };
            (spec.name.to_string(), info)
        });
        let infos: Vec<_> = infos.collect();
        let note = note.map(|note| HashMap::from([("dotcart".to_string(), note.to_string())]));
        let metadata = Metadata::new(note, infos).expect("offsets follow one another");
        let mut header = serde_json::to_vec(&metadata).expect("a header is JSON");
        header.resize(header.len().next_multiple_of(8), b' ');
        let begin = || {
            let mut file = WholeFile::create(path)?;
            file.write_all(&(header.len() as u64).to_le_bytes())?;
            file.write_all(&header)?;
            Ok(file)
        };
        Ok(Self {
            path: path.to_path_buf(),
            file: begin().map_err(FileError::write(path))?,
            left: end,
        })
    }

    /// Appends plain data. Panics if it is more than the specs announced.
    pub fn append<T: bytemuck::NoUninit>(&mut self, data: &[T]) -> Result<(), FileError> {
        let bytes: &[u8] = bytemuck::cast_slice(data);
        self.left = self
            .left
            .checked_sub(bytes.len())
            .expect("no more data than the header announced");
        self.file.write_all(bytes).map_err(FileError::write(&self.path))
    }

    /// Appends numbers, which must be finite.
    pub fn append_finite(&mut self, data: &[f32]) -> Result<(), FileError> {
        match first_not_finite(data) {
            Some(value) => Err(FileError::diverged(&self.path, value)),
            None => self.append(data),
        }
    }

    /// Syncs and renames. Panics if data is missing.
    pub fn finish(self) -> Result<(), FileError> {
        assert_eq!(
            self.left,
            0,
            "TensorWriter: {} bytes of `{}` are missing",
            self.left,
            self.path.display()
        );
        self.file.finish().map_err(FileError::write(&self.path))
    }
}

/// A safetensors file that is read where it lies, each page checked before it is first given away, if there is a digest of it.
pub struct TensorFile {
    path: PathBuf,
    map: memmap2::Mmap,
    /// None if nothing vouches for the file.
    pages: Option<Pages>,
    /// Read once: bulk output asks for an id or a row millions of times.
    tensors: HashMap<String, Tensor>,
}

/// Where a tensor lies in the file.
struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Range<usize>,
}

/// Bytes before the header of a safetensors file: its length.
const LENGTH: usize = 8;

impl TensorFile {
    /// Maps a file and checks its header and length.
    pub fn open(path: &Path, pages: Option<Pages>) -> Result<Self, FileError> {
        let file = regular_file::open(path).map_err(FileError::read(path))?;
        // SAFETY: run files are replaced by renaming, never written in place, so a mapped file does not change.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(FileError::read(path))?;
        if let Some(pages) = &pages {
            if !pages.fit(map.len()) {
                return Err(FileError::damaged(path, "it has other pages than there are digests of"));
            }
            check(path, &map, pages, 0..map.len().min(LENGTH))?;
            let length = map
                .first_chunk::<LENGTH>()
                .map_or(0, |length| u64::from_le_bytes(*length));
            let end = (length as usize).saturating_add(LENGTH).min(map.len());
            check(path, &map, pages, 0..end)?;
        }
        let header = SafeTensors::deserialize(&map).map_err(|error| FileError::damaged(path, error.to_string()))?;
        let tensor = |(name, view): (String, TensorView)| {
            let start = view.data().as_ptr() as usize - map.as_ptr() as usize;
            let tensor = Tensor {
                dtype: view.dtype(),
                shape: view.shape().to_vec(),
                bytes: start..start + view.data().len(),
            };
            (name, tensor)
        };
        let tensors = header.tensors().into_iter().map(tensor).collect();
        Ok(Self {
            path: path.to_path_buf(),
            map,
            pages,
            tensors,
        })
    }

    /// The path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The metadata entry under the key `dotcart`.
    pub fn note(&self) -> Option<String> {
        let (_, metadata) = SafeTensors::read_metadata(&self.map).ok()?;
        metadata.metadata().as_ref()?.get("dotcart").cloned()
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A tensor's place and shape, its data not read. Errors if it is not there or of another type.
    fn entry<T: Element>(&self, name: &str) -> Result<&Tensor, FileError> {
        let damaged = |fault: String| FileError::damaged(&self.path, fault);
        let tensor = self
            .tensors
            .get(name)
            .ok_or_else(|| damaged(format!("there is no tensor `{name}`")))?;
        if tensor.dtype != T::DTYPE {
            return Err(damaged(format!(
                "tensor `{name}` is {}, wanted {}",
                tensor.dtype,
                T::DTYPE
            )));
        }
        Ok(tensor)
    }

    /// A tensor's shape; its data is not read.
    pub fn shape<T: Element>(&self, name: &str) -> Result<&[usize], FileError> {
        Ok(&self.entry::<T>(name)?.shape)
    }

    /// Errors unless there is a tensor of exactly this shape; its data is not read.
    pub fn expect<T: Element>(&self, name: &str, shape: &[usize]) -> Result<(), FileError> {
        let found = self.shape::<T>(name)?;
        match found == shape {
            true => Ok(()),
            false => Err(FileError::damaged(
                &self.path,
                format!("tensor `{name}` has shape {found:?}, wanted {shape:?}"),
            )),
        }
    }

    /// All of a tensor.
    pub fn tensor<T: Element>(&self, name: &str) -> Result<&[T], FileError> {
        let tensor = self.entry::<T>(name)?;
        self.check(&tensor.bytes)?;
        self.data(name, tensor.bytes.clone())
    }

    /// All of a tensor of exactly this shape.
    pub fn tensor_of<T: Element>(&self, name: &str, shape: &[usize]) -> Result<&[T], FileError> {
        self.expect::<T>(name, shape)?;
        self.tensor(name)
    }

    /// All of a tensor, of which only some elements will be read: no other pages are checked than those that they lie in.
    /// Errors if they are not there.
    pub fn tensor_read_at<T: Element>(
        &self,
        name: &str,
        parts: impl Iterator<Item = Range<usize>>,
    ) -> Result<&[T], FileError> {
        let tensor = self.entry::<T>(name)?;
        for elements in parts {
            self.check(&self.place::<T>(name, tensor, elements)?)?;
        }
        self.data(name, tensor.bytes.clone())
    }

    /// Some elements of a tensor; no other page is read than those that they lie in. Errors if they are not there.
    pub fn part<T: Element>(&self, name: &str, elements: Range<usize>) -> Result<&[T], FileError> {
        let tensor = self.entry::<T>(name)?;
        let bytes = self.place::<T>(name, tensor, elements)?;
        self.check(&bytes)?;
        self.data(name, bytes)
    }

    /// The bytes of some elements of a tensor. Errors if they are not there.
    fn place<T>(&self, name: &str, tensor: &Tensor, elements: Range<usize>) -> Result<Range<usize>, FileError> {
        let count = tensor.bytes.len() / size_of::<T>();
        if elements.start > elements.end || elements.end > count {
            let fault = format!("{elements:?} lies outside of tensor `{name}`, which has {count} elements");
            return Err(FileError::damaged(&self.path, fault));
        }
        let place = |element: usize| tensor.bytes.start + element * size_of::<T>();
        Ok(place(elements.start)..place(elements.end))
    }

    /// Errors at the first page of some bytes that is not what was written.
    fn check(&self, bytes: &Range<usize>) -> Result<(), FileError> {
        match &self.pages {
            Some(pages) => check(&self.path, &self.map, pages, bytes.clone()),
            None => Ok(()),
        }
    }

    /// Bytes as elements, checked or not.
    fn data<T: Element>(&self, name: &str, bytes: Range<usize>) -> Result<&[T], FileError> {
        bytemuck::try_cast_slice(&self.map[bytes])
            .map_err(|error| FileError::damaged(&self.path, format!("tensor `{name}`: {error}")))
    }
}

/// Errors at the first page of a range that is not what was written.
fn check(path: &Path, file: &[u8], pages: &Pages, range: Range<usize>) -> Result<(), FileError> {
    pages
        .check(file, range)
        .map_err(|page| FileError::damaged(path, format!("bytes {page:?} are not what was written")))
}

/// A number type that stands in run files.
pub trait Element: bytemuck::AnyBitPattern + bytemuck::NoUninit {
    const DTYPE: Dtype;
}

impl Element for f32 {
    const DTYPE: Dtype = Dtype::F32;
}

impl Element for u8 {
    const DTYPE: Dtype = Dtype::U8;
}

impl Element for u32 {
    const DTYPE: Dtype = Dtype::U32;
}

impl Element for u64 {
    const DTYPE: Dtype = Dtype::U64;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::pages::{self, PAGE};

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("dotcart-tensor-{}-{name}", std::process::id()))
    }

    fn write(path: &Path) {
        let specs = [
            TensorSpec::new("wide", Dtype::U64, &[1]),
            TensorSpec::new("a", Dtype::F32, &[2, 3]),
            TensorSpec::new("b", Dtype::U8, &[5]),
        ];
        let mut file = TensorWriter::create(path, &specs, Some("{\"x\":1}")).unwrap();
        file.append(&[u64::MAX]).unwrap();
        file.append_finite(&[1.0, 2.0, 3.0]).unwrap();
        file.append_finite(&[4.0, 5.0, 6.0]).unwrap();
        file.append(b"hello").unwrap();
        file.finish().unwrap();
    }

    #[test]
    fn what_was_written_is_read_back_and_the_crate_agrees() {
        let path = path("round");
        write(&path);
        let file = TensorFile::open(&path, None).unwrap();
        assert_eq!(
            file.tensor_of::<f32>("a", &[2, 3]).unwrap(),
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
        );
        assert_eq!(file.tensor_of::<u64>("wide", &[1]).unwrap(), [u64::MAX]);
        assert_eq!(file.tensor_of::<u8>("b", &[5]).unwrap(), b"hello");
        assert_eq!(file.note().as_deref(), Some("{\"x\":1}"));
        assert!(
            file.tensor::<u32>("a")
                .unwrap_err()
                .to_string()
                .contains("is F32, wanted U32")
        );
        assert!(file.tensor_of::<f32>("a", &[3, 2]).is_err() && file.tensor::<f32>("c").is_err());
        assert_eq!(file.shape::<f32>("a").unwrap(), [2, 3]);
        assert_eq!(file.part::<f32>("a", 1..4).unwrap(), [2.0, 3.0, 4.0]);
        assert!(file.part::<f32>("a", 6..6).unwrap().is_empty());
        for outside in [5..7, 7..7, 0..usize::MAX, Range { start: 3, end: 2 }] {
            let error = file.part::<f32>("a", outside).unwrap_err().to_string();
            assert!(
                error.contains("lies outside of tensor `a`, which has 6 elements"),
                "{error}"
            );
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_file_that_was_cut_or_grew_is_refused() {
        let path = path("cut");
        write(&path);
        let whole = std::fs::read(&path).unwrap();
        for damaged in [
            &whole[..whole.len() - 1],
            &whole[..20],
            &whole[..4],
            &[whole.as_slice(), b"x"].concat(),
            b"",
        ] {
            std::fs::write(&path, damaged).unwrap();
            assert!(TensorFile::open(&path, None).is_err(), "{} bytes pass", damaged.len());
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_part_is_given_away_only_if_its_pages_are_what_was_written() {
        let path = path("pages");
        let rows = 3 * PAGE / 4;
        let specs = [
            TensorSpec::new("a", Dtype::F32, &[rows]),
            TensorSpec::new("b", Dtype::U8, &[9]),
        ];
        let mut file = TensorWriter::create(&path, &specs, None).unwrap();
        file.append_finite(&vec![0.5; rows]).unwrap();
        file.append(b"the bytes").unwrap();
        file.finish().unwrap();
        let whole = std::fs::read(&path).unwrap();
        let open = |damaged: usize| {
            let mut bytes = whole.clone();
            bytes[damaged] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            TensorFile::open(&path, Some(Pages::new(whole.chunks(PAGE).map(pages::digest).collect())))
        };
        for header in [0, 7, 8, 30] {
            let error = open(header).err().unwrap().to_string();
            assert!(
                error.ends_with("is damaged: bytes 0..65536 are not what was written"),
                "{error}"
            );
        }
        let file = open(PAGE + 1).unwrap();
        assert_eq!(file.part::<f32>("a", rows - 2..rows).unwrap(), [0.5; 2]);
        assert_eq!(file.tensor::<u8>("b").unwrap(), b"the bytes");
        for element in [PAGE / 4 - 1, PAGE / 4 + 7000] {
            let error = file.part::<f32>("a", element..element + 1).unwrap_err().to_string();
            assert!(
                error.ends_with("is damaged: bytes 65536..131072 are not what was written"),
                "{error}"
            );
        }
        assert!(file.tensor::<f32>("a").is_err());
        assert!(TensorFile::open(&path, Some(Pages::new(vec![0; 3]))).is_err());
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn numbers_that_are_not_finite_are_not_written() {
        let path = path("nan");
        let mut file = TensorWriter::create(&path, &[TensorSpec::new("a", Dtype::F32, &[1])], None).unwrap();
        assert!(
            file.append_finite(&[f32::NAN])
                .unwrap_err()
                .to_string()
                .contains("diverged")
        );
        drop(file);
        assert!(!path.exists());
    }
}
