//! Regular files: what has an end. A named pipe in the place of a file would make its reader wait for ever.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Opens a file for reading; errors at once if it is a pipe, a device, a socket or a directory.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    // Without this, opening a named pipe waits for who writes to it; a regular file does not care.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path)?;
    let kind = file.metadata()?.file_type();
    match (kind.is_file(), kind.is_dir()) {
        (true, _) => Ok(file),
        (_, true) => Err(io::Error::other("it is a directory")),
        _ => Err(io::Error::other("it is a pipe or a device, wanted a regular file")),
    }
}

/// All of a regular file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All of a regular file as text.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    io::read_to_string(open(path)?)
}
