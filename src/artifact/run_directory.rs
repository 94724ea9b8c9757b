//! One run's folder: made, filled, completed by its manifest, found again.

use super::interactions_file::InteractionsFile;
use super::pages::{self, PAGE, PageDigests};
use super::run_files::RunFiles;
use super::tensor_file::FileError;
use super::vocabulary_file::VocabularyFile;
use crate::common::file_lock;
use crate::common::hint::Hint;
use crate::common::interaction::UserIndex;
use crate::common::regular_file;
use crate::common::whole_file::{is_leftover, remove_leftovers, write_whole};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use xxhash_rust::xxh3::Xxh3;

/// Where runs are kept, relative to the working directory.
pub const RUNS: &str = "runs";
/// The file in [`RUNS`] that names the newest complete run, for people: commands go by the manifests.
pub const LATEST: &str = "latest";
/// Version of the files of a run; another version is refused.
pub const FORMAT_VERSION: u32 = 1;

pub const CONFIG: &str = "config.toml";
pub const DATA_REPORT: &str = "data.json";
pub const USERS: &str = "users.safetensors";
pub const PRODUCTS: &str = "products.safetensors";
pub const INTERACTIONS: &str = "interactions.safetensors";
pub const MODEL: &str = "model.safetensors";
pub const METRICS: &str = "metrics.jsonl";
pub const CALIBRATION: &str = "calibration.json";
/// One page for people; nothing reads it, so the manifest does not vouch for it.
pub const REPORT: &str = "report.html";
pub const EVALUATION: &str = "evaluation.json";
pub const CHECKPOINT: &str = "checkpoint";
pub const CHECKPOINT_LAST: &str = "checkpoint/last.safetensors";
/// Digests of the pages of the files that are read where they lie.
pub const PAGES: &str = "pages.safetensors";
pub const MANIFEST: &str = "manifest.json";
/// Held by the process that trains the run.
pub const LOCK: &str = "lock";

/// The files that a manifest vouches for.
const VOUCHED: [&str; 9] = [
    CONFIG,
    DATA_REPORT,
    USERS,
    PRODUCTS,
    INTERACTIONS,
    CALIBRATION,
    MODEL,
    EVALUATION,
    PAGES,
];

/// Those that are read where they lie, page by page.
const PAGED: [&str; 4] = [USERS, PRODUCTS, INTERACTIONS, MODEL];

/// Those that are small and say how the others are to be read: whoever opens a run checks all of them.
const SMALL: [&str; 4] = [CONFIG, DATA_REPORT, CALIBRATION, PAGES];

/// What a complete run consists of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format_version: u32,
    /// The dotcart that wrote it.
    pub dotcart_version: String,
    pub best_epoch: usize,
    /// Milliseconds since 1970, later than those of all runs that were complete beside it; the greatest is the newest run's.
    /// Older manifests do not tell.
    #[serde(default)]
    pub completed_ms: Option<u64>,
    pub files: BTreeMap<String, FileEntry>,
}

/// Size and content of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub bytes: u64,
    /// XXH3-128 of the content, hexadecimal.
    pub xxh3: String,
}

/// A run cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("there is no run `{0}`")]
    Unknown(String),
    #[error("there is no complete run in `{0}` yet")]
    NoneComplete(PathBuf),
    #[error("there is no complete run `{0}-N` in `{RUNS}` yet")]
    NoneOfName(String),
    #[error("run `{0}` was ended before it began: it has no `{CONFIG}`")]
    NeverBegan(PathBuf),
    #[error("run `{0}` is unfinished: it has no manifest")]
    Unfinished(PathBuf),
    #[error("run `{0}` is complete already")]
    Complete(PathBuf),
    #[error("run `{path}` has format version {found}, this dotcart reads {FORMAT_VERSION}")]
    Version { path: PathBuf, found: u32 },
    #[error("run `{0}` is being trained by another process")]
    Busy(PathBuf),
}

impl Hint for RunError {
    fn hint(&self) -> String {
        match self {
            Self::File(error) => error.hint(),
            Self::Unknown(_) => format!("runs live in `{RUNS}/`: give a name there or a path"),
            Self::NoneComplete(_) => "train first: `dotcart train configs/electronics.toml`".to_string(),
            Self::NoneOfName(_) => {
                "train first, or give the name that stands before `-N` in the run's folder".to_string()
            }
            Self::NeverBegan(_) => "train again: that clears it away".to_string(),
            Self::Unfinished(path) => format!("`dotcart train --resume {}` finishes it", path.display()),
            Self::Complete(path) => format!("`dotcart evaluate --run {}` judges it", path.display()),
            Self::Version { .. } => "use the dotcart that wrote it, or train again".to_string(),
            Self::Busy(_) => "wait for it, or stop it first".to_string(),
        }
    }
}

/// A run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDirectory {
    path: PathBuf,
}

impl RunDirectory {
    /// Makes `runs/<name>-<n>` with the lowest free n above all taken ones, and takes it for this process until the file is
    /// dropped. What trainings of this name left that were ended before they began is removed.
    pub fn create(name: &str) -> Result<(Self, File), RunError> {
        let root = Path::new(RUNS);
        std::fs::create_dir_all(root).map_err(FileError::write(root))?;
        let number = |entry: std::fs::DirEntry| {
            let file_name = entry.file_name().into_string().ok()?;
            let number: u32 = file_name.strip_prefix(name)?.strip_prefix('-')?.parse().ok()?;
            let is_gone = Self { path: entry.path() }.remove_if_dead();
            (!is_gone).then_some(u64::from(number))
        };
        let entries = std::fs::read_dir(root).map_err(FileError::read(root))?;
        let mut next = 1 + entries.flatten().filter_map(number).max().unwrap_or(0);
        loop {
            let path = root.join(format!("{name}-{next}"));
            let run = Self { path };
            match std::fs::create_dir(&run.path) {
                Ok(()) => {}
                // Another training took the number in the meantime.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    next += 1;
                    continue;
                }
                Err(error) => return Err(FileError::write(&run.path)(error).into()),
            }
            match run.lock() {
                Ok(lock) if run.file(LOCK).exists() => {
                    let checkpoint = run.file(CHECKPOINT);
                    std::fs::create_dir(&checkpoint).map_err(FileError::write(&checkpoint))?;
                    return Ok((run, lock));
                }
                // Before it was locked, another training took it for a dead one.
                Ok(_) | Err(RunError::Busy(_)) => next += 1,
                Err(_) if !run.path.exists() => next += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the folder holds what a training writes before its config, which is written last, and nothing else.
    fn is_beginning(&self) -> bool {
        const KNOWN: [&str; 7] = [DATA_REPORT, USERS, PRODUCTS, INTERACTIONS, CONFIG, LOCK, CHECKPOINT];
        let is_known = |name: &str| match is_leftover(Path::new(name)) {
            // `data.json` is on its way as `data.json.123.partial`.
            true => KNOWN
                .iter()
                .any(|known| name.strip_prefix(known).is_some_and(|rest| rest.starts_with('.'))),
            false => name != CONFIG && KNOWN.contains(&name),
        };
        let checkpoint = std::fs::read_dir(self.file(CHECKPOINT));
        let has_checkpoint = checkpoint.is_ok_and(|mut files| files.next().is_some());
        let is_ours = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(is_known))
        };
        !has_checkpoint && std::fs::read_dir(&self.path).is_ok_and(|mut entries| entries.all(is_ours))
    }

    /// Removes the beginning of a run that nobody goes on with: nothing can be made of it. Returns whether it is gone.
    ///
    /// A training holds the lock of what it fills, so a folder that can be locked has nobody who fills it.
    fn remove_if_dead(&self) -> bool {
        let lock = self.is_beginning().then(|| self.lock().ok()).flatten();
        lock.is_some_and(|_held| self.is_beginning() && std::fs::remove_dir_all(&self.path).is_ok())
    }

    /// A folder that is no run, made if it is not there.
    pub fn bare(path: &Path) -> Result<Self, RunError> {
        std::fs::create_dir_all(path).map_err(FileError::write(path))?;
        Ok(Self {
            path: path.to_path_buf(),
        })
    }

    /// A folder for what a training keeps on its way, and no more.
    pub fn scratch(path: &Path) -> Result<Self, RunError> {
        Self::bare(&path.join(CHECKPOINT))?;
        Self::bare(path)
    }

    /// Finds a run by path or by name in [`RUNS`]; without either, the newest complete one.
    pub fn find(run: Option<&str>) -> Result<Self, RunError> {
        let Some(run) = run else {
            let root = Path::new(RUNS);
            let newest = Self::newest(root).ok_or_else(|| RunError::NoneComplete(root.to_path_buf()))?;
            newest.write_latest();
            return Ok(newest);
        };
        // `RUNS.join` of an absolute path is that path.
        let candidates = [Path::new(RUNS).join(run), PathBuf::from(run)];
        if let Some(path) = candidates.iter().find(|path| path.join(CONFIG).is_file()) {
            return Ok(Self { path: path.clone() });
        }
        let begun = candidates
            .into_iter()
            .map(|path| Self { path })
            .find(Self::is_beginning);
        Err(match begun {
            Some(run) if run.is_busy() => RunError::Busy(run.path),
            Some(run) => RunError::NeverBegan(run.path),
            None => RunError::Unknown(run.to_string()),
        })
    }

    /// The newest complete run of a name in [`RUNS`]: of the folders `<name>-<n>`.
    pub fn newest_of(name: &str) -> Result<Self, RunError> {
        let newest = Self::newest_where(Path::new(RUNS), |run| run.series().as_deref() == Some(name));
        newest.ok_or_else(|| RunError::NoneOfName(name.to_string()))
    }

    /// The name that it shares with the runs that came before it and come after it, `<name>` of `<name>-<n>`.
    pub fn series(&self) -> Option<String> {
        let name = self.name();
        let (series, number) = name.rsplit_once('-')?;
        number.parse::<u32>().is_ok().then(|| series.to_string())
    }

    /// The complete runs of its series beside it that were completed before it, the oldest first.
    pub fn older(&self) -> Vec<Self> {
        let Some(series) = self.series() else { return Vec::new() };
        let own = self.completed_ms();
        let entries = std::fs::read_dir(self.root()).into_iter().flatten().flatten();
        let runs = entries.map(|entry| Self { path: entry.path() });
        let of_series = runs.filter(|run| run.series().as_ref() == Some(&series) && run.is_complete());
        let mut older: Vec<(u64, Self)> = of_series.map(|run| (run.completed_ms(), run)).collect();
        older.retain(|&(completed, _)| completed < own);
        older.sort_by_key(|&(completed, _)| completed);
        older.into_iter().map(|(_, run)| run).collect()
    }

    /// The run in a folder that was completed last, by the manifests; of runs that do not tell apart, the one that
    /// [`LATEST`] names.
    fn newest(root: &Path) -> Option<Self> {
        Self::newest_where(root, |_| true)
    }

    fn newest_where(root: &Path, is_wanted: impl Fn(&Self) -> bool) -> Option<Self> {
        let latest = regular_file::read_to_string(&root.join(LATEST)).unwrap_or_default();
        let runs = std::fs::read_dir(root)
            .ok()?
            .flatten()
            .map(|entry| Self { path: entry.path() });
        runs.filter(|run| is_wanted(run) && run.is_complete())
            .max_by_key(|run| (run.completed_ms(), run.name() == latest.trim(), run.name()))
    }

    /// When the run was completed; where its manifest does not tell or is damaged, when that was written.
    pub fn completed_ms(&self) -> u64 {
        let manifest: Option<Manifest> = self.read_json(MANIFEST).ok();
        let modified = || {
            std::fs::metadata(self.file(MANIFEST))
                .and_then(|file| file.modified())
                .ok()
        };
        manifest
            .and_then(|manifest| manifest.completed_ms)
            .or_else(|| modified().map(milliseconds))
            .unwrap_or(0)
    }

    /// The folder that the run lies in.
    fn root(&self) -> PathBuf {
        match self.path.parent() {
            Some(root) if root != Path::new("") => root.to_path_buf(),
            _ => PathBuf::from("."),
        }
    }

    /// Has [`LATEST`] name the newest complete run beside this one; returns whether it did not yet.
    ///
    /// Where it cannot be written it stays as it is: no command goes by it.
    pub fn write_latest(&self) -> bool {
        let root = self.root();
        let Some(newest) = Self::newest(&root) else {
            return false;
        };
        let (latest, text) = (root.join(LATEST), format!("{}\n", newest.name()));
        let is_right = regular_file::read_to_string(&latest).is_ok_and(|found| found == text);
        if !is_right {
            // Whoever else is writing it at this moment loses, which does no harm.
            remove_leftovers(&root);
        }
        !is_right && write_whole(&latest, text.as_bytes()).is_ok()
    }

    /// The model of an epoch that was the best so far, until it becomes that of the run.
    pub fn best(&self, epoch: usize) -> PathBuf {
        self.file(CHECKPOINT).join(format!("best-{epoch}.safetensors"))
    }

    /// Removes the models of epochs that were the best once. One that stays costs its bytes and no more.
    pub fn remove_bests_but(&self, epoch: usize) {
        let kept = self.best(epoch);
        for entry in std::fs::read_dir(self.file(CHECKPOINT)).into_iter().flatten().flatten() {
            let is_best = entry.file_name().to_str().is_some_and(|name| name.starts_with("best-"));
            if is_best && entry.path() != kept && !is_leftover(&entry.path()) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder's own name.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap_or(self.path.as_os_str())
            .to_string_lossy()
            .into_owned()
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Takes the run for this process, until the file is dropped; what a killed process left half written is removed.
    ///
    /// A file of its own: where locks are mandatory nobody else could read a locked `metrics.jsonl`.
    pub fn lock(&self) -> Result<File, RunError> {
        let path = self.file(LOCK);
        let file = file_lock::hold(&path).map_err(FileError::write(&path))?;
        let file = file.ok_or_else(|| RunError::Busy(self.path.clone()))?;
        for folder in [self.path.clone(), self.file(CHECKPOINT)] {
            remove_leftovers(&folder);
        }
        Ok(file)
    }

    /// Whether a process trains the run at this moment.
    pub fn is_busy(&self) -> bool {
        file_lock::is_held(&self.file(LOCK))
    }

    /// How a command names the run: by its name alone if that finds it from here.
    pub fn argument(&self) -> String {
        match self.path.parent() {
            Some(parent) if parent == Path::new(RUNS) => self.name(),
            _ => self.path.display().to_string(),
        }
    }

    /// Whether the manifest stands.
    pub fn is_complete(&self) -> bool {
        self.file(MANIFEST).is_file()
    }

    /// Writes a JSON file.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), RunError> {
        let mut text = serde_json::to_vec_pretty(value).expect("reports are JSON");
        text.push(b'\n');
        let path = self.file(name);
        Ok(write_whole(&path, &text).map_err(FileError::write(&path))?)
    }

    /// Writes a text file.
    pub fn write_text(&self, name: &str, text: &str) -> Result<(), RunError> {
        let path = self.file(name);
        Ok(write_whole(&path, text.as_bytes()).map_err(FileError::write(&path))?)
    }

    /// Reads a JSON file.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, RunError> {
        let path = self.file(name);
        let text = regular_file::read(&path).map_err(FileError::read(&path))?;
        let value = serde_json::from_slice(&text).map_err(|error| FileError::damaged(&path, error.to_string()))?;
        Ok(value)
    }

    /// Writes the manifest, which makes this the newest run; nobody trains it on, so its checkpoints go.
    pub fn complete(&self, best_epoch: usize) -> Result<(), RunError> {
        let files = self.vouch()?;
        // Later than the others even where the clock was set back.
        let after = Self::newest(&self.root()).map_or(0, |newest| newest.completed_ms().saturating_add(1));
        self.write_json(
            MANIFEST,
            &Manifest {
                format_version: FORMAT_VERSION,
                dotcart_version: env!("CARGO_PKG_VERSION").to_string(),
                best_epoch,
                completed_ms: Some(milliseconds(SystemTime::now()).max(after)),
                files,
            },
        )?;
        self.write_latest();
        // If it stays it costs its bytes and no more.
        let _ = std::fs::remove_dir_all(self.file(CHECKPOINT));
        Ok(())
    }

    /// Writes the digests of the pages, and returns what a manifest has to say of every file as it stands.
    pub fn vouch(&self) -> Result<BTreeMap<String, FileEntry>, RunError> {
        let mut files = BTreeMap::new();
        let mut digests = Vec::new();
        for name in VOUCHED.into_iter().filter(|name| *name != PAGES) {
            let mut own = Vec::new();
            let entry = read_through(&self.file(name), |page| own.push(pages::digest(page)))?;
            files.insert(name.to_string(), entry);
            if PAGED.contains(&name) {
                digests.push((name, own));
            }
        }
        let path = self.file(PAGES);
        PageDigests::write(&path, &digests)?;
        files.insert(PAGES.to_string(), digest(&path)?);
        Ok(files)
    }

    /// Checks that the run is complete, that the manifest vouches for every file, and that each has its size, and small ones
    /// their content. Pages are checked where they are read, all contents by [`RunDirectory::verify`].
    pub fn manifest(&self) -> Result<Manifest, RunError> {
        if !self.is_complete() {
            return Err(RunError::Unfinished(self.path.clone()));
        }
        let manifest: Manifest = self.read_json(MANIFEST)?;
        if manifest.format_version != FORMAT_VERSION {
            return Err(RunError::Version {
                path: self.path.clone(),
                found: manifest.format_version,
            });
        }
        // An older dotcart, which noted no time, did not calibrate, and judged otherwise.
        let is_older = manifest.completed_ms.is_none();
        let is_demanded = |name: &&str| match *name {
            CALIBRATION | EVALUATION => !is_older,
            // Nor did one of a later day take digests of pages; then there is no such file.
            PAGES => self.file(PAGES).exists() || manifest.files.contains_key(PAGES),
            _ => true,
        };
        for name in VOUCHED.into_iter().filter(is_demanded) {
            let path = self.file(name);
            let Some(entry) = manifest.files.get(name) else {
                return Err(FileError::damaged(&self.file(MANIFEST), format!("it does not vouch for `{name}`")).into());
            };
            let found = std::fs::metadata(&path).map_err(FileError::read(&path))?.len();
            if found != entry.bytes {
                let fault = format!("it has {found} bytes, its manifest says {}", entry.bytes);
                return Err(FileError::damaged(&path, fault).into());
            }
            if SMALL.contains(&name) {
                check(&path, entry)?;
            }
        }
        Ok(manifest)
    }

    /// Reads every file once and compares it with the manifest.
    pub fn verify(&self) -> Result<Manifest, RunError> {
        let manifest = self.manifest()?;
        for (name, entry) in manifest
            .files
            .iter()
            .filter(|(name, _)| VOUCHED.contains(&name.as_str()))
        {
            check(&self.file(name), entry)?;
        }
        Ok(manifest)
    }

    /// All that the run holds of its ratings and its model, each file checked against the others.
    pub fn open(&self) -> Result<RunFiles, RunError> {
        Ok(RunFiles::open(self, &self.pages()?)?)
    }

    /// The users' vocabulary.
    pub fn users(&self) -> Result<VocabularyFile<UserIndex>, RunError> {
        Ok(VocabularyFile::open(&self.file(USERS), self.pages()?.of(USERS))?)
    }

    /// The rows of `users` users and `items` items.
    pub fn interactions(&self, users: usize, items: usize) -> Result<InteractionsFile, RunError> {
        let pages = self.pages()?.of(INTERACTIONS);
        Ok(InteractionsFile::open(&self.file(INTERACTIONS), users, items, pages)?)
    }

    /// The digests of the pages; none of a run that is not complete yet, nor of one that an older dotcart completed.
    fn pages(&self) -> Result<PageDigests, RunError> {
        let has_pages = self.is_complete() && self.manifest()?.files.contains_key(PAGES);
        Ok(match has_pages {
            true => PageDigests::read(&self.file(PAGES), &PAGED)?,
            false => PageDigests::default(),
        })
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

fn check(path: &Path, entry: &FileEntry) -> Result<(), RunError> {
    match digest(path)? == *entry {
        true => Ok(()),
        false => Err(FileError::damaged(path, "its content is not what its manifest says").into()),
    }
}

fn digest(path: &Path) -> Result<FileEntry, RunError> {
    read_through(path, |_| {})
}

/// Reads a file once; each of its pages is handed on.
fn read_through(path: &Path, mut each_page: impl FnMut(&[u8])) -> Result<FileEntry, RunError> {
    const PAGES_AT_ONCE: usize = 16;
    let mut file = regular_file::open(path).map_err(FileError::read(path))?;
    let mut hash = Xxh3::new();
    let mut buffer = Vec::with_capacity(PAGES_AT_ONCE * PAGE);
    let mut bytes = 0;
    loop {
        buffer.clear();
        // A read may be short of what it is asked for; this one is so at the end alone.
        let mut some = std::io::Read::take(&mut file, (PAGES_AT_ONCE * PAGE) as u64);
        let read = std::io::Read::read_to_end(&mut some, &mut buffer).map_err(FileError::read(path))?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        hash.update(&buffer);
        buffer.chunks(PAGE).for_each(&mut each_page);
    }
    Ok(FileEntry {
        bytes,
        xxh3: format!("{:032x}", hash.digest128()),
    })
}
