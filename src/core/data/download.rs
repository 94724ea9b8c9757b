//! Download: an address to a file, resumed where it broke off, in place only when it is whole.
//!
//! The part that is here lies in `<path>.partial`; the next attempt, in this run or a later one, asks for the rest. Beside it
//! `<path>.partial.version` keeps what the server calls this version of the file (RFC 9110, `If-Range`): if it has another one
//! by then, the download starts over.

use super::progress::{Progress, Unit};
use crate::common::hint::{Hint, writing};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::StatusCode;
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE};

/// The file did not come.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    #[error("cannot reach `{url}`: {message}")]
    Reach { url: String, message: String },
    #[error("`{url}` answers {status}")]
    Status { url: String, status: String },
    #[error("the download of `{url}` broke off after {got} {of}: {message}")]
    Broken {
        url: String,
        got: u64,
        of: String,
        message: String,
        partial: PathBuf,
    },
    #[error("`{url}` has {announced} bytes, but `{partial}` holds {got}")]
    Size {
        url: String,
        announced: u64,
        got: u64,
        partial: PathBuf,
    },
    #[error("cannot write `{path}`: {source}")]
    Write { path: PathBuf, source: std::io::Error },
}

impl Hint for DownloadError {
    fn hint(&self) -> String {
        match self {
            Self::Reach { .. } => "check `data.url` and the network".to_string(),
            Self::Status { .. } => "check `data.url` in a browser; the file may have moved".to_string(),
            Self::Broken { partial, .. } => {
                format!("run the same command again: it goes on from `{}`", partial.display())
            }
            Self::Size { partial, .. } => format!("remove `{}` and run again", partial.display()),
            Self::Write { source, .. } => {
                format!(
                    "{}; what is there is kept, and the next run goes on from it",
                    writing(source)
                )
            }
        }
    }
}

/// Attempts that bring nothing before it gives up.
const ATTEMPTS: usize = 3;
/// How long a server may stay silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// Fetches `url` to `path`. Errors if the server or the disk refuses, or the size is not what was announced.
pub fn download(url: &str, path: &Path, progress: &dyn Progress) -> Result<(), DownloadError> {
    let partial = partial_name(path);
    let write_error = |source| DownloadError::Write {
        path: partial.clone(),
        source,
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(write_error)?;
    }
    let mut fruitless = 0;
    loop {
        let before = size_of(&partial);
        match attempt(url, &partial, progress) {
            Ok(()) => break,
            Err(error @ DownloadError::Broken { .. }) => {
                fruitless = if size_of(&partial) > before { 0 } else { fruitless + 1 };
                if fruitless == ATTEMPTS {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
    progress.end();
    // There may be none, and one that stays does no harm without its part.
    let _ = std::fs::remove_file(version_name(&partial));
    std::fs::rename(&partial, path).map_err(|source| DownloadError::Write {
        path: path.to_path_buf(),
        source,
    })
}

fn partial_name(path: &Path) -> PathBuf {
    with_suffix(path, ".partial")
}

fn version_name(partial: &Path) -> PathBuf {
    with_suffix(partial, ".version")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

/// What a server calls this version of a file. A weak tag does not promise the same bytes.
fn version_of(headers: &HeaderMap) -> Option<&str> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    text(ETAG)
        .filter(|tag| !tag.starts_with("W/"))
        .or_else(|| text(LAST_MODIFIED))
}

fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// One request for what is missing of `partial`.
fn attempt(url: &str, partial: &Path, progress: &dyn Progress) -> Result<(), DownloadError> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .build()
        .into();
    let have = size_of(partial);
    let version_file = version_name(partial);
    let is_header = |text: &String| HeaderValue::from_str(text).is_ok();
    let known = std::fs::read_to_string(&version_file).ok().filter(is_header);
    let mut request = agent.get(url);
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
        if let Some(version) = &known {
            request = request.header(IF_RANGE, version);
        }
    }
    let response = request.call().map_err(|error| DownloadError::Reach {
        url: url.to_string(),
        message: error.to_string(),
    })?;
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let size_error = |announced, got| DownloadError::Size {
        url: url.to_string(),
        announced,
        got,
        partial: partial.to_path_buf(),
    };
    let write_error = |source| DownloadError::Write {
        path: partial.to_path_buf(),
        source,
    };
    // `bytes 100-199/200`, or `bytes */200` if nothing is left to send.
    let whole = header(CONTENT_RANGE).and_then(|range| range.rsplit('/').next()?.parse::<u64>().ok());
    let length = header(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    let (mut got, announced) = match response.status() {
        StatusCode::OK => (0, length),
        StatusCode::PARTIAL_CONTENT => {
            let starts_here = header(CONTENT_RANGE).is_some_and(|range| range.starts_with(&format!("bytes {have}-")));
            if !starts_here {
                return Err(size_error(whole.unwrap_or(0), have));
            }
            let is_other = |version| known.as_deref().is_some_and(|known| known != version);
            if version_of(response.headers()).is_some_and(is_other) {
                // The server does not know `If-Range`. Without a part, the next request asks for the whole.
                std::fs::remove_file(partial).map_err(write_error)?;
                return attempt(url, partial, progress);
            }
            (have, whole)
        }
        StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => {
            return match whole {
                Some(whole) if whole == have => Ok(()),
                whole => Err(size_error(whole.unwrap_or(0), have)),
            };
        }
        status => {
            return Err(DownloadError::Status {
                url: url.to_string(),
                status: status.to_string(),
            });
        }
    };
    let mut file = match got {
        0 => {
            match version_of(response.headers()) {
                Some(version) => std::fs::write(&version_file, version).map_err(write_error)?,
                // There may be none.
                None => drop(std::fs::remove_file(&version_file)),
            }
            File::create(partial)
        }
        _ => File::options().append(true).open(partial),
    }
    .map_err(write_error)?;
    progress.begin("downloading", Unit::Bytes, announced);
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    let broken = |got, message: String| DownloadError::Broken {
        url: url.to_string(),
        got,
        of: announced.map_or_else(|| "bytes".to_string(), |announced| format!("of {announced} bytes")),
        message,
        partial: partial.to_path_buf(),
    };
    loop {
        let read = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) => return Err(broken(got, error.to_string())),
        };
        file.write_all(&buffer[..read]).map_err(write_error)?;
        got += read as u64;
        progress.at(got);
    }
    file.sync_all().map_err(write_error)?;
    match announced {
        Some(announced) if got < announced => Err(broken(got, "the server closed the connection".to_string())),
        Some(announced) if got > announced => Err(size_error(announced, got)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::progress::Silent;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};

    /// Answers one request after the other with the given bytes; returns the address and what ranges were asked for.
    fn serve(answers: Vec<Vec<u8>>) -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/ratings.csv", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked_for = Vec::new();
                for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                    let line = line.unwrap().to_lowercase();
                    if line.starts_with("range: ") || line.starts_with("if-range: ") {
                        asked_for.push(line.clone());
                    }
                    if line.is_empty() {
                        break;
                    }
                }
                asked_for.sort();
                heard.lock().unwrap().push(asked_for.join(", "));
                // The other side may have enough already.
                let _ = stream.write_all(&answer);
            }
        });
        (address, asked)
    }

    fn answer(head: &str, body: &[u8]) -> Vec<u8> {
        [format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes(), body].concat()
    }

    fn target(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("dotcart-download-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let _ = std::fs::remove_file(partial_name(&path));
        let _ = std::fs::remove_file(version_name(&partial_name(&path)));
        path
    }

    #[test]
    fn a_broken_connection_is_resumed_where_it_broke() {
        let (url, asked) = serve(vec![
            answer("200 OK\r\nContent-Length: 10", b"0123"),
            answer(
                "206 Partial Content\r\nContent-Length: 6\r\nContent-Range: bytes 4-9/10",
                b"456789",
            ),
        ]);
        let path = target("broken");
        download(&url, &path, &Silent).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"0123456789");
        assert_eq!(*asked.lock().unwrap(), ["", "range: bytes=4-"]);
        assert!(!partial_name(&path).exists());
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_part_of_another_version_is_thrown_away() {
        let first = || answer("200 OK\r\nContent-Length: 10\r\nETag: \"v1\"", b"0123");
        let second = || answer("200 OK\r\nContent-Length: 4\r\nETag: \"v2\"", b"abcd");
        // That of a server that does not look at `If-Range`.
        let rest_of_second = answer(
            "206 Partial Content\r\nContent-Length: 6\r\nContent-Range: bytes 4-9/10\r\nETag: \"v2\"",
            b"efghij",
        );
        let conditional = "if-range: \"v1\", range: bytes=4-";
        for (answers, requests) in [
            (vec![first(), second()], vec!["", conditional]),
            (vec![first(), rest_of_second, second()], vec!["", conditional, ""]),
        ] {
            let (url, asked) = serve(answers);
            let path = target("version");
            download(&url, &path, &Silent).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"abcd");
            assert_eq!(*asked.lock().unwrap(), requests);
            assert!(!version_name(&partial_name(&path)).exists());
            std::fs::remove_file(path).unwrap();
        }
        let headers = |text: &'static str| {
            let value = HeaderValue::from_static(text);
            HeaderMap::from_iter([(ETAG, value), (LAST_MODIFIED, HeaderValue::from_static("Mon"))])
        };
        assert_eq!(version_of(&headers("\"v1\"")), Some("\"v1\""));
        assert_eq!(version_of(&headers("W/\"v1\"")), Some("Mon"));
    }

    #[test]
    fn a_server_without_ranges_starts_anew_and_a_whole_part_is_not_fetched_again() {
        let path = target("anew");
        std::fs::write(partial_name(&path), b"01").unwrap();
        let (url, _) = serve(vec![answer("200 OK\r\nContent-Length: 4", b"0123")]);
        download(&url, &path, &Silent).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"0123");
        std::fs::rename(&path, partial_name(&path)).unwrap();
        let (url, _) = serve(vec![answer(
            "416 Range Not Satisfiable\r\nContent-Range: bytes */4\r\nContent-Length: 0",
            b"",
        )]);
        download(&url, &path, &Silent).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"0123");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_goes_wrong_is_said_and_nothing_is_put_in_place() {
        let message = |name: &str, part: &[u8], answers: Vec<Vec<u8>>| {
            let path = target(name);
            if !part.is_empty() {
                std::fs::write(partial_name(&path), part).unwrap();
            }
            let (url, _) = serve(answers);
            let error = download(&url, &path, &Silent).unwrap_err();
            assert!(!path.exists());
            let _ = std::fs::remove_file(partial_name(&path));
            format!("{error}\nhint: {}", error.hint())
                .replace(&url, "URL")
                .replace(&path.display().to_string(), "FILE")
        };
        assert_eq!(
            message("missing", b"", vec![answer("404 Not Found\r\nContent-Length: 0", b"")]),
            "`URL` answers 404 Not Found\nhint: check `data.url` in a browser; the file may have moved"
        );
        let cut = || answer("200 OK\r\nContent-Length: 10", b"");
        let found = message("cut", b"", (0..3).map(|_| cut()).collect());
        assert!(
            found.starts_with("the download of `URL` broke off after 0 of 10 bytes: "),
            "{found}"
        );
        assert!(
            found.ends_with("hint: run the same command again: it goes on from `FILE.partial`"),
            "{found}"
        );
        assert_eq!(
            message(
                "size",
                b"012345",
                vec![answer(
                    "416 Range Not Satisfiable\r\nContent-Range: bytes */4\r\nContent-Length: 0",
                    b""
                )]
            ),
            "`URL` has 4 bytes, but `FILE.partial` holds 6\nhint: remove `FILE.partial` and run again"
        );
        let path = target("refused");
        let error = download("http://127.0.0.1:1/x", &path, &Silent).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot reach `http://127.0.0.1:1/x`: "),
            "{error}"
        );
    }
}
