//! Numbers in the words of people: counts, shares, sizes and durations.

use indicatif::HumanCount;

/// A count with thousands separators: `1,234,567`.
pub fn count(number: usize) -> String {
    HumanCount(number as u64).to_string()
}

/// Bytes in whole mebibytes, rounded up: `3,498 MiB`.
pub fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", count(bytes.div_ceil(1 << 20) as usize))
}

/// A share of 1 in percent: `84.1 %`.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Whole seconds as a clock: `0:42`, `1:02:03`; `-` if there is no such time.
pub fn duration(seconds: f64) -> String {
    if !(seconds.is_finite() && seconds >= 0.0) {
        return "-".into();
    }
    let seconds = seconds as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_three() {
        let texts = [0, 7, 999, 1_000, 12_345, 123_456, 1_234_567].map(count);
        assert_eq!(texts, ["0", "7", "999", "1,000", "12,345", "123,456", "1,234,567"]);
    }

    #[test]
    fn durations_read_like_a_clock() {
        let texts = [0.0, 42.9, 60.0, 3599.9, 3723.0, 360_000.0].map(duration);
        assert_eq!(texts, ["0:00", "0:42", "1:00", "59:59", "1:02:03", "100:00:00"]);
        assert_eq!([f64::NAN, f64::INFINITY, -1.0].map(duration), ["-", "-", "-"]);
    }

    #[test]
    fn a_begun_mebibyte_counts_whole() {
        assert_eq!([0, 1, (1234 << 20) + 1].map(mebibytes), ["0 MiB", "1 MiB", "1,235 MiB"]);
    }

    #[test]
    fn shares_have_one_decimal() {
        assert_eq!([0.0, 0.8414, 1.0].map(percent), ["0.0 %", "84.1 %", "100.0 %"]);
    }
}
