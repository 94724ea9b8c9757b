//! How delimited text is cut, told by its first lines: the delimiter, the rows, and whether the first of them names the columns.

use super::check::number_of_words;
use super::readers::cutter::Cutter;
use crate::common::calendar::moment_of;
use crate::config::column_names::role_of;
use crate::config::{Column, Columns, Decimal};

/// Lines that are looked at.
const HEAD_LINES: usize = 100;

/// What spreadsheets put in front of a table to name its delimiter.
const NAMED: &[u8] = b"sep=";

/// The first lines that are whole and not empty.
pub fn lines_of(head: &[u8], head_is_all: bool) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = head.split(|byte| matches!(byte, b'\n' | b'\r')).collect();
    // The last line may be cut in two.
    if lines.len() > 1 && !head_is_all {
        lines.pop();
    }
    lines
        .into_iter()
        .filter(|line| !line.is_empty())
        .take(HEAD_LINES)
        .collect()
}

/// The delimiter that a first line such as `sep=;` names.
pub fn named_delimiter(lines: &[&[u8]]) -> Option<String> {
    match lines.first()?.strip_prefix(NAMED)?.trim_ascii_end() {
        // A tab is white space, too.
        [] => lines[0].contains(&b'\t').then(|| "\t".to_string()),
        &[byte] if byte.is_ascii() => Some(char::from(byte).to_string()),
        _ => None,
    }
}

/// The candidate that cuts most lines into the same number of columns, at least two. Among equals the one with more columns
/// of numbers behind the ids, for `A1;B1;3,5` is cut by its commas as well; then the first.
pub fn detect_delimiter(lines: &[&[u8]], quote: Option<u8>) -> String {
    let mut best = ((0, 0), ",");
    for delimiter in ["\t", "::", ",", ";", "|", " "] {
        let rows = rows_of(lines, delimiter, quote);
        let width = most_common(rows.iter().map(Vec::len)).unwrap_or(0);
        if width < 2 {
            continue;
        }
        let even: Vec<&Vec<String>> = rows.iter().filter(|row| row.len() == width).collect();
        // Lines, not rows: a quote that joins many of them must not lose.
        let lines_cut = even.len() + lines.len() - rows.len();
        let decimal = if delimiter == "," {
            Decimal::Point
        } else {
            Decimal::Auto
        };
        // The first row may be a header.
        let data = if even.len() > 1 { &even[1..] } else { &even[..] };
        let is_numeric = |column: &usize| {
            let numbers = data
                .iter()
                .filter(|row| number_of_words(row[*column].trim(), decimal, f32::NAN).is_some());
            2 * numbers.count() > data.len()
        };
        let score = (lines_cut, (2..width).filter(is_numeric).count());
        if score > best.0 {
            best = (score, delimiter);
        }
    }
    best.1.to_string()
}

/// How many rows stand before the table: titles, dates and comments, which have one field where most rows have three or more.
pub fn before_table(rows: &[Vec<String>]) -> usize {
    /// More of them are no preface.
    const MOST: usize = 20;
    let is_alone = |row: &&Vec<String>| row.iter().skip(1).all(|field| field.trim().is_empty());
    let before = rows.iter().take_while(is_alone).count();
    let width = most_common(rows[before..].iter().map(Vec::len)).unwrap_or(0);
    match width >= 3 && before <= MOST {
        true => before,
        false => 0,
    }
}

/// What may stand between columns that no usual delimiter cuts: a sign that each line has as often, at least twice.
pub fn guess_delimiter(lines: &[&[u8]]) -> Option<char> {
    let count = |line: &[u8], sign: u8| line.iter().filter(|byte| **byte == sign).count();
    let fits = |sign: &u8| {
        let wanted = count(lines[0], *sign);
        wanted >= 2 && lines.iter().all(|line| count(line, *sign) == wanted)
    };
    let mut signs = (b'!'..=b'~')
        .filter(u8::is_ascii_punctuation)
        .filter(|sign| !b".\"'_-".contains(sign));
    signs.find(fits).map(char::from)
}

/// The rows of these lines; a quoted text may have line breaks.
pub fn rows_of(lines: &[&[u8]], delimiter: &str, quote: Option<u8>) -> Vec<Vec<String>> {
    let mut cutter = Cutter::new(delimiter, quote);
    let mut rows = Vec::new();
    let mut place = 0;
    while place < lines.len() {
        let mut row = lines[place].to_vec();
        let mut next = place + 1;
        let mut is_whole = cutter.cut(&row).is_ok();
        while !is_whole && next < lines.len() {
            row.push(b'\n');
            row.extend_from_slice(lines[next]);
            next += 1;
            is_whole = cutter.cut(&row).is_ok();
        }
        if !is_whole || cutter.has_text_behind_quote() {
            // A quote that does not close is told when the line is read.
            row = lines[place].to_vec();
            next = place + 1;
            let _ = cutter.cut(&row);
        }
        let parts = cutter.parts(&row);
        let fields = parts.iter().map(|field| String::from_utf8_lossy(field).into_owned());
        rows.push(fields.collect());
        place = next;
    }
    rows
}

/// Whether the first row names the columns: it holds names that are known or asked for, it counts the columns as pandas
/// does, or it holds no number where later rows do.
pub fn has_header(rows: &[Vec<String>], columns: &Columns) -> bool {
    let Some((first, data)) = rows.split_first() else {
        return false;
    };
    let asked = [
        &columns.user,
        &columns.product,
        &columns.rating,
        &columns.timestamp,
        &columns.count,
    ];
    let asked: Vec<&String> = asked
        .into_iter()
        .filter_map(|column| match column {
            Column::Name(name) if !name.is_empty() => Some(name),
            _ => None,
        })
        .collect();
    if first.iter().any(|field| asked.iter().any(|name| field.trim() == *name)) {
        return true;
    }
    let mut roles: Vec<&str> = first.iter().filter_map(|name| Some(role_of(name)?.0.key())).collect();
    roles.sort_unstable();
    roles.dedup();
    if roles.len() >= 2 || counts_columns(first, data) {
        return true;
    }
    if first.iter().any(|field| is_value(field.as_str())) {
        // A name among numbers is one if it stands above numbers alone, as no id does.
        let stands_above_numbers = |column: usize| {
            let mut below = data.iter().filter_map(|row| row.get(column)).peekable();
            below.peek().is_some() && below.all(|field| field.trim().parse::<f64>().is_ok())
        };
        return (0..first.len()).any(|column| role_of(&first[column]).is_some() && stands_above_numbers(column));
    }
    let value_below = |column: usize| {
        data.iter()
            .any(|row| row.get(column).is_some_and(|field| is_value(field)))
    };
    !asked.is_empty() || data.is_empty() || (0..first.len()).any(value_below)
}

/// Whether a row reads 0, 1, 2 and so on, and is no rating of user 0 by what stands below.
fn counts_columns(first: &[String], data: &[Vec<String>]) -> bool {
    let (numbering, counted) = match first.split_first() {
        // Above an index stands nothing.
        Some((name, counted)) if name.trim().is_empty() => (true, counted),
        _ => (false, first),
    };
    let counts = counted
        .iter()
        .enumerate()
        .all(|(place, name)| name.trim() == place.to_string());
    if !counts || counted.len() < 3 {
        return false;
    }
    let below = |column: usize| data.iter().filter_map(move |row| row.get(column));
    let most = |column: usize, holds: &dyn Fn(&String) -> bool| {
        let held = below(column).filter(|field| holds(field)).count();
        2 * held > below(column).count()
    };
    let is_text = |field: &String| field.trim().parse::<f64>().is_err();
    let has_point = |field: &String| field.contains('.');
    // A third second of 1970 above times of today.
    let is_today =
        |field: &String| field.trim().parse::<f64>().is_ok_and(|time| time > 1e8) || moment_of(field.trim()).is_some();
    numbering
        || most(0, &is_text)
        || most(1, &is_text)
        || most(2, &has_point)
        || (counted.len() > 3 && most(3, &is_today))
}

/// A number or a moment.
fn is_value(field: &str) -> bool {
    let text = field.trim();
    text.parse::<f64>().is_ok() || number_of_words(text, Decimal::Auto, 5.0).is_some() || moment_of(text).is_some()
}

/// The most frequent value, among equals the one that came first.
pub fn most_common(values: impl Iterator<Item = usize>) -> Option<usize> {
    let mut counts: Vec<(usize, usize)> = Vec::new();
    for value in values {
        match counts.iter_mut().find(|(known, _)| *known == value) {
            Some((_, count)) => *count += 1,
            None => counts.push((value, 1)),
        }
    }
    counts
        .into_iter()
        .rev()
        .max_by_key(|(_, count)| *count)
        .map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn delimiter(text: &str) -> String {
        detect_delimiter(&lines_of(text.as_bytes(), true), Some(b'"'))
    }

    fn header(text: &str) -> bool {
        let lines = lines_of(text.as_bytes(), true);
        let delimiter = detect_delimiter(&lines, Some(b'"'));
        has_header(
            &rows_of(&lines, &delimiter, Some(b'"')),
            &Config::default().data.columns,
        )
    }

    #[test]
    fn numbers_decide_where_two_delimiters_cut_alike() {
        assert_eq!(delimiter("A1;B1;3,5;2,1\nA2;B1;4,0;1,1\n"), ";");
        assert_eq!(delimiter("A1;B1;3,5\nA2;B1;4,0\n"), ";");
        assert_eq!(delimiter("A1|B1|3,5|7\nA2|B1|4,0|8\n"), "|");
        assert_eq!(delimiter("a b,c d,3,7\nb c,d e,4,8\n"), ",");
        assert_eq!(delimiter("a;1,b;2,3.5\nb;1,c;2,4.5\n"), ",");
        assert_eq!(delimiter("u;\"one\ntwo, three\nfour\";5\nv;x;4\n"), ";");
        assert_eq!(named_delimiter(&[b"sep=|", b"a|b"]).as_deref(), Some("|"));
        assert_eq!(named_delimiter(&[b"sep=\t"]).as_deref(), Some("\t"));
    }

    #[test]
    fn a_header_may_be_of_numbers_and_data_may_count() {
        assert!(header("0,1,2,3\nA1,B1,5,1400000000\n") && header("0,1,2,3\n7,8,5,1400000000\n"));
        assert!(header("0,1,2\n7,8,5.0\n9,8,4.0\n") && header(",0,1,2\n0,7,8,5\n"));
        assert!(!header("0,1,2\n0,2,5\n1,2,4\n") && !header("0,1,2,3\n0,2,5,4\n"));
        assert!(header(
            "user_id,title,behavior,hours,0\n7,\"a, b\",play,3.5,0\n8,c,play,1,0\n"
        ));
        assert!(!header("user,a,5\n7,b,4\nuser,c,1\n"));
        assert!(header("customer,product\nalice,apple\n") && !header("alice,apple,5\nbob,pear,4\n"));
        assert!(header("who,what,day\na,b,2011-01-02\n") && header("who,what,stars\na,b,4.0 out of 5 stars\n"));
    }
}
