//! Days and seconds: `YYYY-MM-DD` in UTC to days since 1970 and back, and moments of ISO 8601 to seconds.
//!
//! The proleptic Gregorian calendar by Howard Hinnant, <https://howardhinnant.github.io/date_algorithms.html>.

/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// Days from 1970-01-01 to a day written as `YYYY-MM-DD`; `None` if there is no such day.
pub fn day_of(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let has_form = bytes.len() == 10
        && bytes.iter().enumerate().all(|(place, byte)| match place {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !has_form {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    if !(1..=12).contains(&month) {
        return None;
    }
    // The year begins in March, so that a leap day is its last day.
    let year_from_march = if month <= 2 { year - 1 } else { year };
    let era = year_from_march.div_euclid(400);
    let year_of_era = year_from_march.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    // A day such as 02-30 comes back as another one.
    (date_of(days * DAY) == text).then_some(days)
}

/// Seconds from 1970 to a moment of ISO 8601, fractions cut; `None` if it is none.
///
/// A day, then maybe `T` or a space and `hh:mm`, `hh:mm:ss` or `hh:mm:ss.fff`, then maybe `Z`, ` UTC`, `+hh:mm` or `+hhmm`; without
/// such a zone it is UTC.
pub fn moment_of(text: &str) -> Option<i64> {
    let day = day_of(text.get(..10)?)? * DAY;
    let rest = &text[10..];
    if rest.is_empty() {
        return Some(day);
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let zone_at = rest.find(['Z', 'z', '+', '-', 'U', ' ']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(zone_at);
    let two = |text: &str, below: i64| {
        let is_two = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|value| is_two && *value < below)
    };
    let mut parts = clock.split(':');
    let (hours, minutes) = (two(parts.next()?, 24)?, two(parts.next()?, 60)?);
    let seconds = match parts.next() {
        None => 0,
        Some(seconds) => {
            let (whole, fraction) = seconds.split_once(['.', ',']).unwrap_or((seconds, "0"));
            let is_fraction = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
            // 60 is a leap second.
            two(whole, 61).filter(|_| is_fraction)?
        }
    };
    let offset = match zone.trim_start() {
        "" | "Z" | "z" | "UTC" => 0,
        zone => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let digits = zone.strip_prefix(['+', '-'])?.replace(':', "");
            let minutes = digits
                .get(2..)
                .filter(|minutes| !minutes.is_empty())
                .map_or(Some(0), |minutes| two(minutes, 60))?;
            sign * (two(digits.get(..2)?, 24)? * 3_600 + minutes * 60)
        }
    };
    (parts.next().is_none()).then_some(day + hours * 3_600 + minutes * 60 + seconds - offset)
}

/// The day of a moment, seconds since 1970, as `YYYY-MM-DD`.
pub fn date_of(seconds: i64) -> String {
    let days = seconds.div_euclid(DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_go_there_and_back() {
        for (text, day) in [
            ("1970-01-01", 0),
            ("2000-02-29", 11_016),
            ("2014-07-23", 16_274),
            ("1969-12-31", -1),
        ] {
            assert_eq!(day_of(text), Some(day));
            assert_eq!(date_of(day * DAY), text);
            assert_eq!(date_of(day * DAY + DAY - 1), text);
        }
        for nonsense in [
            "2014-02-30",
            "2014-13-01",
            "2014-00-10",
            "14-01-01",
            "2014/01/01",
            "2014-01-0é",
            "",
        ] {
            assert_eq!(day_of(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn moments_are_seconds_whatever_they_say_of_fractions_and_zones() {
        for (text, seconds) in [
            ("2018-07-07", 1_530_921_600),
            ("2018-07-07 22:09:11", 1_531_001_351),
            ("2018-07-07T22:09:11Z", 1_531_001_351),
            ("2018-07-07T22:09:11.987654", 1_531_001_351),
            ("2018-07-08 00:09:11+02:00", 1_531_001_351),
            ("2018-07-07T16:39:11-0530", 1_531_001_351),
            ("2018-07-07 22:09:11 UTC", 1_531_001_351),
            ("2018-07-07 22:09", 1_531_001_340),
            ("1969-12-31 23:59:59.5", -1),
        ] {
            assert_eq!(moment_of(text), Some(seconds), "{text}");
        }
        for nonsense in [
            "2018-07-07 ",
            "2018-07-07 25:00",
            "2018-07-07T1:00",
            "2018-07-07x",
            "2018-07-07 10:00+",
            "é018-07-07é",
        ] {
            assert_eq!(moment_of(nonsense), None, "{nonsense}");
        }
    }
}
