//! `metrics.jsonl`: the events of a training, one JSON object a line, written as they happen and read while they are.

use super::event::{Lost, Observer, TrainEvent};
use crate::common::regular_file;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Writes every event as a line.
pub struct EventLog {
    out: Box<dyn Write + Send>,
    lost: Lost,
    /// Half of the last line may stand there.
    is_torn: bool,
}

impl EventLog {
    /// Writes to `out`, which is called `place`. A training is not stopped by an `out` that fails; what is lost is counted.
    pub fn new(out: Box<dyn Write + Send>, place: &str) -> Self {
        Self {
            out,
            lost: Lost::at(place),
            is_torn: false,
        }
    }

    /// Goes on with a file. The half line that a killed process may have left is closed, so that it spoils no other.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn append(path: &Path) -> io::Result<Self> {
        let mut file = File::options().create(true).read(true).append(true).open(path)?;
        let mut last = [b'\n'];
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        if last != [b'\n'] {
            file.write_all(b"\n")?;
        }
        Ok(Self::new(Box::new(file), &path.display().to_string()))
    }
}

impl Observer for EventLog {
    fn observe(&mut self, event: &TrainEvent) {
        let mut line = match std::mem::take(&mut self.is_torn) {
            true => vec![b'\n'],
            false => Vec::new(),
        };
        serde_json::to_writer(&mut line, event).expect("an event is JSON");
        line.push(b'\n');
        // One call a line: whoever follows the file sees no half line for long.
        let result = self.out.write_all(&line).and_then(|()| self.out.flush());
        self.is_torn = result.is_err();
        self.lost.count(&result);
    }

    fn lost(&mut self) -> Option<&mut Lost> {
        Some(&mut self.lost)
    }
}

/// Reads a log that may still grow.
pub struct EventReader {
    file: File,
    /// What was read of a line whose end is not there yet.
    begun: Vec<u8>,
}

impl EventReader {
    /// Begins with the first event.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: regular_file::open(path)?,
            begun: Vec::new(),
        })
    }

    /// The events that came since the last call. A line that is no event is left out, as that of a killed process may be, or
    /// an event of a later dotcart.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn read(&mut self) -> io::Result<Vec<TrainEvent>> {
        let mut bytes = std::mem::take(&mut self.begun);
        self.file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.begun = bytes.split_off(whole);
        let lines = bytes.split(|byte| *byte == b'\n');
        Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(epoch: usize) -> TrainEvent {
        TrainEvent::EpochStarted { epoch }
    }

    #[test]
    fn a_growing_log_is_read_event_by_event_and_a_half_line_waits() {
        let path = std::env::temp_dir().join(format!("dotcart-event-log-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let mut log = EventLog::append(&path).unwrap();
        log.observe(&epoch(1));
        let mut reader = EventReader::open(&path).unwrap();
        assert_eq!(reader.read().unwrap(), [epoch(1)]);
        assert_eq!(reader.read().unwrap(), []);

        let half = br#"{"event":"epoch_star"#;
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(half).unwrap();
        assert_eq!(reader.read().unwrap(), []);
        file.write_all(b"ted\",\"epoch\":2}\n").unwrap();
        assert_eq!(reader.read().unwrap(), [epoch(2)]);

        // A process was killed within a line; the next one goes on.
        file.write_all(half).unwrap();
        EventLog::append(&path).unwrap().observe(&epoch(3));
        assert_eq!(reader.read().unwrap(), [epoch(3)]);
        let all = EventReader::open(&path).unwrap().read().unwrap();
        assert_eq!(all, [epoch(1), epoch(2), epoch(3)]);
        std::fs::remove_file(path).unwrap();
    }

    /// Takes a few bytes, then nothing for a while, then all again.
    struct FullDisk(std::sync::Arc<std::sync::Mutex<(Vec<u8>, usize)>>);

    impl Write for FullDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (kept, room) = &mut *self.0.lock().unwrap();
            let taken = bytes.len().min(*room);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            kept.extend_from_slice(&bytes[..taken]);
            *room -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_full_disk_loses_is_said_once_and_counted_and_spoils_no_other_line() {
        let disk = std::sync::Arc::new(std::sync::Mutex::new((Vec::new(), 50)));
        let bus = super::super::event::EventBus::default();
        bus.subscribe(Box::new(EventLog::new(Box::new(FullDisk(disk.clone())), "x.jsonl")));
        bus.send(&epoch(1));
        assert_eq!(bus.losses(), Vec::<String>::new());
        // Half a line fits, then nothing; of the loss itself it can tell no more either.
        bus.send(&epoch(2));
        bus.send(&epoch(3));
        assert_eq!(bus.losses(), ["3 events are not in `x.jsonl`: no storage space"]);
        disk.lock().unwrap().1 = 1_000;
        bus.send(&epoch(4));
        let text = String::from_utf8(disk.lock().unwrap().0.clone()).unwrap();
        let read: Vec<TrainEvent> = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        assert_eq!(read, [epoch(1), epoch(4)], "{text}");
        assert_eq!(text.matches("events_lost").count(), 0, "said again: {text}");
    }
}
