//! Files that are there whole or not at all: written under a temporary name beside their own, synced, and renamed.
//!
//! The temporary name is the file's own with the number of the process and `.partial` behind it, so two processes never share
//! one. What a killed process left is removed by the next one that holds the folder, see [`remove_leftovers`]. (The crate
//! `tempfile` puts its random names into every error message; ours are for people.)

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

const ENDING: &str = ".partial";

/// A file on its way. Dropped before its end it leaves nothing behind.
pub struct WholeFile {
    path: PathBuf,
    temporary: PathBuf,
    /// None once it is renamed.
    file: Option<BufWriter<File>>,
}

impl WholeFile {
    /// Begins a file; one of that name stays until the end.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut temporary = OsString::from(path);
        temporary.push(format!(".{}{ENDING}", std::process::id()));
        let file = File::create(&temporary)?;
        Ok(Self {
            path: path.to_path_buf(),
            temporary: temporary.into(),
            file: Some(BufWriter::with_capacity(1 << 20, file)),
        })
    }

    /// Syncs and renames.
    pub fn finish(mut self) -> io::Result<()> {
        let file = self.writer();
        file.flush()?;
        file.get_ref().sync_all()?;
        std::fs::rename(&self.temporary, &self.path)?;
        self.file = None;
        Ok(())
    }

    fn writer(&mut self) -> &mut BufWriter<File> {
        self.file.as_mut().expect("only the end takes the file")
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer().flush()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // What failed is told; that this may fail too changes nothing.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Writes all of a file at once.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = WholeFile::create(path)?;
    file.write_all(bytes)?;
    file.finish()
}

/// Whether a name is a temporary one.
pub fn is_leftover(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(ENDING.as_bytes())
}

/// Removes temporary files from a folder in which nobody else is writing.
pub fn remove_leftovers(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if is_leftover(&entry.path()) {
            // One that stays costs its bytes and no more.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_whole_or_as_it_was() {
        let folder = std::env::temp_dir().join(format!("dotcart-whole-file-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("model.bin");
        let files = || {
            let entries = std::fs::read_dir(&folder).unwrap();
            entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
        };
        write_whole(&path, b"old").unwrap();
        let mut file = WholeFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        file.flush().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        drop(file);
        assert_eq!(files(), std::slice::from_ref(&path));

        // As a kill leaves it.
        let mut file = WholeFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        std::mem::forget(file);
        assert_eq!(files().len(), 2);
        remove_leftovers(&folder);
        assert_eq!(files(), std::slice::from_ref(&path));
        write_whole(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
