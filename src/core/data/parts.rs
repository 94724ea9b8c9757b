//! The files of a table: one, or those of a folder or a glob in the order of their names.
//!
//! Names that begin with `_` or `.` are notes of Spark and the system, not data. Folders named `key=value` are Spark's partitions.

use super::fault::IngestError;
use std::path::{Component, Path, PathBuf};

/// The files of `path`, at least one.
///
/// A path that exists is taken as it stands; else `*` and `?` match any text and any character of a name. Errors if there is no
/// file, if a folder cannot be read, or if it holds folders that are no partitions.
pub fn parts(path: &Path) -> Result<Vec<PathBuf>, IngestError> {
    if path.is_dir() {
        let mut files = Vec::new();
        walk(path, &mut files)?;
        return match files.is_empty() {
            true => Err(IngestError::NoParts {
                path: path.to_path_buf(),
                what: "holds no file of ratings",
            }),
            false => Ok(files),
        };
    }
    if path.exists() || !is_glob(path) {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut found = expand(path)?;
    found.retain(|path| path.is_file());
    match found.is_empty() {
        true => Err(IngestError::NoParts {
            path: path.to_path_buf(),
            what: "matches no file",
        }),
        false => Ok(found),
    }
}

/// Whether a path has `*` or `?` in it.
pub fn is_glob(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?'])
}

/// Names of a folder, in order; notes and hidden files left out.
fn names(folder: &Path) -> Result<Vec<std::ffi::OsString>, IngestError> {
    let error = |source: std::io::Error| IngestError::Read {
        path: folder.to_path_buf(),
        message: source.to_string(),
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(error)? {
        let name = entry.map_err(error)?.file_name();
        if !name.to_string_lossy().starts_with(['_', '.']) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), IngestError> {
    for name in names(folder)? {
        let path = folder.join(&name);
        match path.is_dir() {
            false => files.push(path),
            true if name.to_string_lossy().contains('=') => walk(&path, files)?,
            true => {
                return Err(IngestError::NoParts {
                    path,
                    what: "is a folder among files of ratings",
                });
            }
        }
    }
    Ok(())
}

/// What a glob matches, in the order of names, folder by folder.
fn expand(path: &Path) -> Result<Vec<PathBuf>, IngestError> {
    let mut found = vec![PathBuf::new()];
    for component in path.components() {
        let pattern = component.as_os_str().to_string_lossy();
        let is_pattern = matches!(component, Component::Normal(_)) && pattern.contains(['*', '?']);
        let mut next = Vec::new();
        for folder in &found {
            if !is_pattern {
                next.push(folder.join(component));
                continue;
            }
            let here = if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            };
            if here.is_dir() {
                let names = names(here)?;
                let matching = names.iter().filter(|name| matches(&pattern, &name.to_string_lossy()));
                next.extend(matching.map(|name| folder.join(name)));
            }
        }
        found = next;
    }
    Ok(found)
}

/// Whether a name fits a pattern.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // Where the last `*` stands, and how much of the name it has taken.
    let (mut at, mut of, mut star) = (0, 0, None);
    while of < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, of));
                at += 1;
            }
            Some(&c) if c == '?' || c == name[of] => {
                at += 1;
                of += 1;
            }
            _ => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    (at, of) = (place + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_any_text_and_question_marks_one_character() {
        for (pattern, name, fits) in [
            ("part-*.csv", "part-00001.csv", true),
            ("part-*.csv", "part-00001.csv.crc", false),
            ("*", "", true),
            ("a*b*c", "abbbcbc", true),
            ("a*b*c", "abbbcb", false),
            ("?.é", "x.é", true),
            ("??", "x", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
