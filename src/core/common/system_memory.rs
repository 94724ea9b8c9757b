//! Memory as the system counts it: what this process holds and held, and how much it can have.
//!
//! Read from Linux's `/proc` and `/sys/fs/cgroup`; `None` where there are none.

use std::path::Path;

/// Bytes of this process in memory now.
pub fn resident_bytes() -> Option<u64> {
    kibibytes("/proc/self/status", "VmRSS:")
}

/// The most that this process ever had in memory.
pub fn peak_resident_bytes() -> Option<u64> {
    kibibytes("/proc/self/status", "VmHWM:")
}

/// Has [`peak_resident_bytes`] count from now on, where the system allows it.
pub fn forget_peak() {
    // Linux takes this number for it; see proc(5). Where it does not, the peak stays that of the whole process.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Asks the system to put the large blocks of this process into huge pages as they are written, those that a library took
/// for us among them; nothing happens where it has none to give.
#[cfg(target_os = "linux")]
pub fn prefer_huge_pages() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for block in maps.lines().filter_map(large_block) {
        // SAFETY: the contents stay as they are; a block that is gone by now makes the call fail, another in its place is
        // memory of ours as well.
        unsafe { libc::madvise(block.start as *mut libc::c_void, block.len(), libc::MADV_HUGEPAGE) };
    }
}

/// Where the system knows no huge pages, or gives them unasked.
#[cfg(not(target_os = "linux"))]
pub fn prefer_huge_pages() {}

/// The addresses of a line of `/proc/self/maps` that tells of a block above a thread's stack, which is 8 MiB, backed by no
/// file.
#[cfg(target_os = "linux")]
fn large_block(line: &str) -> Option<std::ops::Range<usize>> {
    const STACK: usize = 8 << 20;
    let mut parts = line.split_whitespace();
    let (start, end) = parts.next()?.split_once('-')?;
    let rights = parts.next()?;
    // What follows the offset, the device and the number of the file is its name.
    let has_name = parts.nth(3).is_some();
    let block = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
    (rights == "rw-p" && !has_name && block.len() > STACK).then_some(block)
}

/// What this process can have, all in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub bytes: u64,
    /// Which limit it is, in words.
    pub because: &'static str,
}

/// What this process has and could take beside it, by the tightest limit: memory that is free or can be freed, a control
/// group's limit, or `ulimit -v` and `-d`. `None` where the system does not tell.
pub fn room() -> Option<Room> {
    let resident = resident_bytes()?;
    let rest = [
        (
            kibibytes("/proc/meminfo", "MemAvailable:"),
            "this machine's free memory",
        ),
        (group_rest_bytes(), "the limit of its control group"),
        (process_rest_bytes(), "the limit of the process, see `ulimit -a`"),
    ];
    let rest = rest.into_iter().filter_map(|(bytes, because)| Some((bytes?, because)));
    let (rest, because) = rest.min_by_key(|(bytes, _)| *bytes)?;
    Some(Room {
        bytes: resident + rest,
        because,
    })
}

/// What is left of the limits that a shell or a batch system has set for this process.
#[cfg(unix)]
fn process_rest_bytes() -> Option<u64> {
    use rustix::process::{Resource, getrlimit};
    let rest = |resource, used: &str| {
        let limit = getrlimit(resource).current?;
        Some(limit.saturating_sub(kibibytes("/proc/self/status", used).unwrap_or(0)))
    };
    let limits = [rest(Resource::As, "VmSize:"), rest(Resource::Data, "VmData:")];
    limits.into_iter().flatten().min()
}

#[cfg(not(unix))]
fn process_rest_bytes() -> Option<u64> {
    None
}

/// What is left of the tightest limit of the control group that this process runs in, and of those above it.
fn group_rest_bytes() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let rests = groups.lines().filter_map(|line| {
        // `0::/path` is version 2, `4:memory:/path` version 1.
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let (root, files) = match controllers {
            "" => ("/sys/fs/cgroup", ["memory.max", "memory.current", "inactive_file"]),
            "memory" => (
                "/sys/fs/cgroup/memory",
                ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"],
            ),
            _ => return None,
        };
        let ancestors = Path::new(path.trim_start_matches('/')).ancestors();
        ancestors
            .filter_map(|group| rest_of_group(&Path::new(root).join(group), files))
            .min()
    });
    rests.min()
}

/// Limit minus use of one group. File pages count as used, but the system takes them back before it kills.
fn rest_of_group(folder: &Path, [limit, used, cache]: [&str; 3]) -> Option<u64> {
    let number = |name: &str| {
        std::fs::read_to_string(folder.join(name))
            .ok()?
            .trim()
            .parse::<u64>()
            .ok()
    };
    let stat = std::fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let used = number(used)?.saturating_sub(value_of(&stat, cache).unwrap_or(0));
    Some(number(limit)?.saturating_sub(used))
}

fn kibibytes(path: &str, key: &str) -> Option<u64> {
    value_of(&std::fs::read_to_string(path).ok()?, key).map(|kibibytes| kibibytes << 10)
}

/// The number after a key that begins a line.
fn value_of(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(key))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_whole_word() {
        let text = "VmHWMx:\t 5 kB\nVmHWM:\t   7 kB\nVmRSS:\tmany";
        assert_eq!((value_of(text, "VmHWM:"), value_of(text, "VmRSS:")), (Some(7), None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn large_blocks_are_writable_private_and_of_no_file() {
        let block = large_block("7f0000000000-7f0001000000 rw-p 00000000 00:00 0 ");
        assert_eq!(block, Some(0x7f00_0000_0000..0x7f00_0100_0000));
        for line in [
            "7f0000000000-7f0001000000 r--p 00000000 00:00 0",
            "7f0000000000-7f0001000000 rw-s 00000000 00:01 5 /memfd:x",
            "7f0000000000-7f0001000000 rw-p 00000000 08:01 5 /usr/lib/libx.so",
            "7f0000000000-7f0001000000 rw-p 00000000 00:00 0 [stack]",
            "7f0000000000-7f0000800000 rw-p 00000000 00:00 0",
            "",
        ] {
            assert_eq!(large_block(line), None, "{line}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_block_that_is_asked_for_gets_the_mark_and_keeps_its_words() {
        let block = vec![7u8; 24 << 20];
        prefer_huge_pages();
        let address = block.as_ptr() as usize;
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        let flags = maps.lines().find(|line| {
            if let Some(range) = large_block(line) {
                inside = range.contains(&address);
            }
            inside && line.starts_with("VmFlags:")
        });
        let flags = flags.expect("the block stands in the list");
        // A kernel built without huge pages knows no such mark.
        let known = Path::new("/sys/kernel/mm/transparent_hugepage").exists();
        assert_eq!(flags.split_whitespace().any(|flag| flag == "hg"), known, "{flags}");
        assert!(block.iter().all(|&byte| byte == 7));
    }

    #[test]
    fn a_group_leaves_its_limit_less_its_use_without_files() {
        let folder = std::env::temp_dir().join(format!("dotcart-group-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let files = ["memory.max", "memory.current", "inactive_file"];
        for (name, text) in [
            ("memory.current", "700\n"),
            ("memory.stat", "anon 300\ninactive_file 100\n"),
            ("memory.max", "max\n"),
        ] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        assert_eq!(rest_of_group(&folder, files), None);
        std::fs::write(folder.join("memory.max"), "1000\n").unwrap();
        assert_eq!(rest_of_group(&folder, files), Some(400));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn held_memory_is_seen() {
        // The peak is that of a process: in one of its own no other test moves it.
        const ALONE: &str = "DOTCART_TEST_ALONE";
        if std::env::var_os(ALONE).is_none() {
            let name = "common::system_memory::tests::held_memory_is_seen";
            let mut command = std::process::Command::new(std::env::current_exe().unwrap());
            let ran = command.args([name, "--exact"]).env(ALONE, "1").output().unwrap();
            let said = String::from_utf8_lossy(&ran.stdout);
            assert!(ran.status.success() && said.contains("1 passed"), "{said}");
            return;
        }
        const HELD: usize = 256 << 20;
        let held = std::hint::black_box(vec![1u8; HELD]);
        let now = resident_bytes().unwrap();
        assert!(now >= HELD as u64, "{now}");
        assert!(peak_resident_bytes().unwrap() >= HELD as u64);
        assert!(room().unwrap().bytes >= HELD as u64);
        drop(held);
        let before = peak_resident_bytes().unwrap();
        forget_peak();
        assert!(peak_resident_bytes().unwrap() < before);
    }
}
