//! A file that one process holds at a time, or that many share meanwhile.
//!
//! The system lets go of it when the process ends, in whatever way. Where locks are mandatory nobody else can read the file
//! meanwhile.

use super::regular_file;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

/// Whoever only asks holds the file for an instant; so often, and so long each time, that is waited for.
const ATTEMPTS: usize = 100;
const PATIENCE: Duration = Duration::from_millis(10);

/// Holds the file, made if it is not there, until what is returned is dropped; `None` if another process holds it.
pub fn hold(path: &Path) -> io::Result<Option<File>> {
    let open = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path);
    let file = open?;
    for _ in 0..ATTEMPTS {
        if locked(file.try_lock())? {
            return Ok(Some(file));
        }
        // Beside one who only asks there is room for another, beside one who holds it there is not.
        if !locked(file.try_lock_shared())? {
            return Ok(None);
        }
        file.unlock()?;
        std::thread::sleep(PATIENCE);
    }
    Ok(None)
}

/// Shares the file, which is there, until what is returned is dropped; `None` if a process holds it, and goes on to.
pub fn share(path: &Path) -> io::Result<Option<File>> {
    let file = regular_file::open(path)?;
    for _ in 0..ATTEMPTS {
        if locked(file.try_lock_shared())? {
            return Ok(Some(file));
        }
        std::thread::sleep(PATIENCE);
    }
    Ok(None)
}

/// Whether a process holds the file at this moment.
pub fn is_held(path: &Path) -> bool {
    regular_file::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn locked(result: Result<(), TryLockError>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_whoever_asks_is_in_nobodys_way() {
        let path = std::env::temp_dir().join(format!("dotcart-file-lock-{}", std::process::id()));
        assert!(!is_held(&path));
        let held = hold(&path).unwrap().expect("nobody holds it");
        assert!(is_held(&path) && hold(&path).unwrap().is_none());
        drop(held);
        assert!(!is_held(&path));
        // One who asks, caught in the middle of asking.
        let asking = File::open(&path).unwrap();
        asking.lock_shared().unwrap();
        let got = std::thread::scope(|scope| {
            let holder = scope.spawn(|| hold(&path).unwrap());
            std::thread::sleep(2 * PATIENCE);
            drop(asking);
            holder.join().unwrap()
        });
        assert!(got.is_some() && is_held(&path));
        assert!(share(&path).unwrap().is_none());
        drop(got);
        let shared = [share(&path).unwrap(), share(&path).unwrap()];
        assert!(shared.iter().all(Option::is_some) && !is_held(&path));
        assert!(hold(&path).unwrap().is_none());
        drop(shared);
        assert!(hold(&path).unwrap().is_some());
        std::fs::remove_file(path).unwrap();
    }
}
