//! Bad files and bad configs, through the binary: the whole message, the hint and the exit code.

use crate::folder;
use crate::formats::{Rating, gzip, parquet};
use dotcart::config::Config;
use dotcart::data::ingest::ingest;
use dotcart::data::progress::Silent;
use parquet::basic::Compression;
use std::path::Path;
use std::process::Command;

/// What `inspect` says of `r.csv`, written anew if there are bytes, under a config with these lines.
///
/// It must end with 1 and put nothing on stdout.
fn refusal(folder: &Path, bytes: Option<&[u8]>, config: &str) -> String {
    if let Some(bytes) = bytes {
        std::fs::write(folder.join("r.csv"), bytes).unwrap();
    }
    let split = if config.contains("[split]") {
        ""
    } else {
        "[split]\nvalid = 0.0\ntest = 0.0\n"
    };
    let config = format!("[data]\npath = \"r.csv\"\n{config}\n{split}");
    std::fs::write(folder.join("c.toml"), &config).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_dotcart"))
        .args(["inspect", "c.toml"])
        .current_dir(folder)
        .output()
        .unwrap();
    let (page, talk) = (output.stdout, String::from_utf8(output.stderr).unwrap());
    assert_eq!(
        (output.status.code(), page.as_slice()),
        (Some(1), b"".as_slice()),
        "{config}{talk}"
    );
    let talk = talk.strip_prefix("error: ").unwrap_or_else(|| panic!("{talk}"));
    talk.strip_suffix('\n').unwrap().replace("\n\n", "\n")
}

fn check(name: &str, cases: &[(&[u8], &str, &str)]) {
    let folder = folder(name);
    for (bytes, config, wanted) in cases {
        let found = refusal(&folder, Some(*bytes), config);
        assert_eq!(
            &found,
            wanted,
            "{config}\n{}",
            bytes[..bytes.len().min(80)].escape_ascii()
        );
    }
    std::fs::remove_dir_all(folder).unwrap();
}

const MEND: &str = "hint: mend the row, set `data.columns` to where user, product, rating and timestamp stand, or raise \
                    `data.max_bad_rows`";

#[test]
fn a_file_without_rows() {
    const HINT: &str = "hint: each row is `user,product,rating` or `user,product,rating,timestamp`";
    check(
        "no-rows",
        &[
            (b"", "", &format!("`r.csv` has no rows\n{HINT}")),
            (b" \n\r\n\n", "", &format!("`r.csv` has no rows\n{HINT}")),
            (
                b"user,product,rating\n",
                "",
                &format!("`r.csv` has a header and no rows\n{HINT}"),
            ),
        ],
    );
}

#[test]
fn a_file_of_another_kind() {
    let wanted = "wanted delimited text, JSON lines or Parquet";
    check(
        "kinds",
        &[
            (
                b"PK\x03\x04....",
                "",
                &format!("`r.csv` is a zip archive, {wanted}\nhint: unpack it first: `unzip FILE`"),
            ),
            (
                b"BZh91AY",
                "",
                &format!("`r.csv` is packed with bzip2, {wanted}\nhint: unpack it first: `bunzip2 FILE`"),
            ),
            (
                b"\xfd7zXZ\0",
                "",
                &format!("`r.csv` is packed with xz, {wanted}\nhint: unpack it first: `unxz FILE`"),
            ),
            (
                b"\xff\xfea\0,\0",
                "",
                &format!("`r.csv` is UTF-16 text, {wanted}\nhint: save it as UTF-8: `iconv -f UTF-16 -t UTF-8 FILE`"),
            ),
            (
                b"[{}]",
                "",
                &format!("`r.csv` is one JSON list, {wanted}\nhint: write one object a line: `jq -c '.[]' FILE`"),
            ),
        ],
    );
}

#[test]
fn a_directory() {
    let folder = folder("directory");
    std::fs::create_dir(folder.join("r.csv")).unwrap();
    assert_eq!(
        refusal(&folder, None, ""),
        "cannot read `r.csv`: it is a directory\nhint: check `data.path`; it must be a readable file"
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn columns_that_are_not_there() {
    let ratings: Vec<Rating> = vec![("a".into(), "b".into(), 5.0, 1)];
    let table = parquet(&ratings, Compression::UNCOMPRESSED);
    check(
        "columns",
        &[
            (
                b"user,product,rating\na,b,5\n",
                "columns.rating = \"ratings\"",
                "`r.csv`: there is no column `ratings` for `data.columns.rating`; there are `user`, `product`, `rating`\n\
                 hint: did you mean `rating`?",
            ),
            (
                b"a,b,5\n",
                "columns.rating = 7",
                "`r.csv`: there is no column `7` for `data.columns.rating`; there are `0`, `1`, `2`\n\
                 hint: `data.columns` takes numbers from 0, or the names in the file; `data.header` says if it has any",
            ),
            (
                b"{\"buyer\":\"a\",\"item\":\"b\",\"rating\":5}\n",
                "",
                "`r.csv`: there is no column `0` for `data.columns.user`; there are `buyer`, `item`, `rating`\n\
                 hint: `data.columns` takes numbers from 0, or the names in the file; `data.header` says if it has any",
            ),
            (
                &table,
                "columns.rating = \"ratings\"",
                "`r.csv`: there is no column `ratings` for `data.columns.rating`; there are `user`, `product`, `rating`, \
                 `timestamp`\nhint: did you mean `rating`?",
            ),
            (
                &table,
                "columns = { user = 0, product = 1, rating = 0, timestamp = 3 }\n",
                "`data.columns`: found `[Number(0), Number(1), Number(0), Number(3)]`, wanted four different columns \
                 (c.toml:3)\nhint: `configs/electronics.toml` explains every key",
            ),
            (
                b"user,product,rating\na,b,5\n",
                "header = false",
                "the rating `rating` is not a number (r.csv:1); bad rows: 1 of 2, allowed: 0\n\
                 hint: is the first line a header? then set `data.header = true`; else the row must hold a rating",
            ),
        ],
    );
}

#[test]
fn rows_that_are_not_ratings() {
    const COLUMNS: &str = "hint: all rows must have the same columns; `data.delimiter` sets what stands between them";
    let long = ["a,b,5\n", &"x".repeat(10_000_000), ",c,4\nb,c,3\n"].concat();
    check(
        "rows",
        &[
            (
                b"a,b,5,1\na,c\nb,c,4,1\n",
                "",
                &format!("found 2 columns, wanted 4 (r.csv:2); bad rows: 1 of 3, allowed: 0\n{COLUMNS}"),
            ),
            (
                b"a,b,5,1,9\na,c,4,1\nb,c,4,1\n",
                "",
                &format!("found 5 columns, wanted 4 (r.csv:1); bad rows: 1 of 3, allowed: 0\n{COLUMNS}"),
            ),
            // Every kind of line end counts as one, and empty lines count.
            (
                b"a,b,5\r\n\n\r\na,c,4\nb,c\r\nb,d,4\rb,e,4\n",
                "",
                &format!("found 2 columns, wanted 3 (r.csv:5); bad rows: 1 of 5, allowed: 0\n{COLUMNS}"),
            ),
            (
                b"a,b,5,1\na,c,4,1\nb,c,abc,1\n",
                "",
                &format!("the rating `abc` is not a number (r.csv:3); bad rows: 1 of 3, allowed: 0\n{MEND}"),
            ),
            (
                b"a,b,5,1\n,c,4,1\n",
                "",
                &format!("the user id is empty (r.csv:2); bad rows: 1 of 2, allowed: 0\n{MEND}"),
            ),
            (
                b"a,b,5,1\na\0,b,4,1\n",
                "",
                "the user id holds a NUL byte (r.csv:2); bad rows: 1 of 2, allowed: 0\n\
                 hint: the file is damaged or not text; save it as UTF-8, or raise `data.max_bad_rows`",
            ),
            (
                b"a,b,5,1\nJos\xe9,b,4,1\n",
                "",
                "the row is not UTF-8 (r.csv:2); bad rows: 1 of 2, allowed: 0\n\
                 hint: save the file as UTF-8, or raise `data.max_bad_rows`",
            ),
            (
                long.as_bytes(),
                "",
                &format!(
                    "the user id has 10000000 bytes, at most 1024 are read (r.csv:2); bad rows: 1 of 3, allowed: 0\n{MEND}"
                ),
            ),
            (
                b"{\"user\":\"a\",\"item\":\"b\",\"rating\":5}\n\n{\"user\":\n",
                "",
                "the line is not a JSON object: EOF while parsing a value in column 8 (r.csv:3); bad rows: 1 of 2, \
                 allowed: 0\nhint: each line must be one whole JSON object, with double quotes",
            ),
        ],
    );
}

#[test]
fn ratings_off_the_scale() {
    let off = |rating: &str, row: u32, hint: &str| {
        format!(
            "the rating `{rating}` is off the scale [1, 5] (r.csv:{row}); bad rows: 1 of 3, allowed: 0\nhint: {hint}"
        )
    };
    const MEND_ROW: &str = "mend the row, or raise `data.max_bad_rows`";
    check(
        "scale",
        &[
            (
                b"a,b,5\na,c,9\nb,c,2\n",
                "",
                &off(
                    "9",
                    2,
                    "the ratings run from 2 to 9: if that is right, set `data.rating_scale = [1, 10]`",
                ),
            ),
            (
                b"a,b,5\na,c,4.5\nb,c,0.5\n",
                "",
                &off(
                    "0.5",
                    3,
                    "the ratings run from 0.5 to 5: if that is right, set `data.rating_scale = [0.5, 5]`",
                ),
            ),
            (
                b"a,b,5\na,c,-20\nb,c,3\n",
                "",
                &off(
                    "-20",
                    2,
                    "the ratings run from -20 to 5: if that is right, set `data.rating_scale = [-20, 5]`",
                ),
            ),
            (b"a,b,nan\na,c,5\nb,c,1\n", "header = false", &off("nan", 1, MEND_ROW)),
            (b"a,b,1\na,c,inf\nb,c,1\n", "", &off("inf", 2, MEND_ROW)),
        ],
    );
}

#[test]
fn timestamps_that_cannot_be_meant() {
    let first_day = "since = \"2014-01-01\"";
    check(
        "times",
        &[
            (
                b"a,b,5,1\na,c,4,-7\n",
                "",
                &format!(
                    "the timestamp `-7` is not in whole seconds since 1970 (r.csv:2); bad rows: 1 of 2, allowed: 0\n{MEND}"
                ),
            ),
            (
                b"a,b,5,1365811200\na,c,4,1365811200000\n",
                "",
                &format!(
                    "the timestamp `1365811200000` is not in whole seconds since 1970 (r.csv:2); bad rows: 1 of 2, \
                     allowed: 0\n{MEND}"
                ),
            ),
            (
                b"a,b,5,1365811200000\na,c,4,1365811200\nb,c,4,0\n",
                "",
                &format!(
                    "the timestamp `1365811200` is not in milliseconds, as those before it are (r.csv:2); bad rows: 1 of 3, \
                     allowed: 0\n{MEND}"
                ),
            ),
            (
                b"a,b,5\n",
                first_day,
                "`data.since` needs timestamps, and `r.csv` has none\n\
                 hint: `data.columns.timestamp` names the column; without one, remove `data.since` and `data.until`",
            ),
            (
                b"a,b,5,1\n",
                first_day,
                "`r.csv`: of 1 rows none is left between `data.since` and `data.until`\n\
                 hint: lower `data.min_ratings_per_user` and `data.min_ratings_per_product`, or widen `data.since` and \
                 `data.until`",
            ),
        ],
    );
}

#[test]
fn quotes_that_do_not_close() {
    const HINT: &str = "hint: close the quote, or double it if it is part of the text";
    check(
        "quotes",
        &[
            (
                b"a,b,5,1\na,\"c,4,1\nb,c,4,1\nb,d,4,1\n",
                "",
                &format!(
                    "a quote opens at character 3 and never closes, up to line 4, wanted on one line (r.csv:2)\n{HINT}"
                ),
            ),
            (
                b"a,b,5,1\r\n\r\n\xc3\xa9a,c,4,\"1\r\nb,c,4,1\r\nb,\"d\",4,1\r\nc,d,4,1\r\n",
                "",
                &format!("a quote opens at character 8 and closes in line 5, wanted on one line (r.csv:3)\n{HINT}"),
            ),
        ],
    );
}

#[test]
fn packed_files_that_were_cut() {
    let rows: String = (0..100).map(|row| format!("u{row},p{row},5\n")).collect();
    let hint = "hint: the file was cut, perhaps by a broken download: get it again";
    // The first part is whole, so the line is known whatever the decoder holds back.
    let (gz, zst) = (gzip(rows.as_bytes()), zstd::encode_all(rows.as_bytes(), 1).unwrap());
    check(
        "cut",
        &[
            (
                &[gz.as_slice(), &gz[..10]].concat(),
                "",
                &format!("gzip data ends too early (`r.csv`, after line 100)\n{hint}"),
            ),
            (
                &[zst.as_slice(), &zst[..7]].concat(),
                "",
                &format!("zstd data ends too early (`r.csv`, after line 100)\n{hint}"),
            ),
        ],
    );
}

#[test]
fn pairs_that_are_rated_twice_name_both_rows() {
    let hint = "hint: `data.duplicates` can also be `last`, `first` or `mean`";
    let rating = |user: &str, product: &str, rating| -> Rating { (user.into(), product.into(), rating, 7) };
    let mut ratings: Vec<Rating> = (0..2_500).map(|row| rating(&format!("u{row}"), "p", 4.0)).collect();
    ratings.push(rating("u3", "p", 2.0));
    check(
        "twice",
        &[
            // Of two pairs that of the user who comes first; rows that do not count are passed over.
            (
                b"who,what,stars,when\r\n\r\na,b,5,1400000000\nc,b,4,1400000000\na,b,2,7\nc,b,1,1400000000\na,b,3,1400000000\n",
                "duplicates = \"error\"\nsince = \"2014-01-01\"",
                &format!("user `a` rated product `b` more than once, 5 in line 3 and 3 in line 7 (`r.csv`)\n{hint}"),
            ),
            (
                &parquet(&ratings, Compression::SNAPPY),
                "duplicates = \"error\"",
                &format!("user `u3` rated product `p` more than once, 4 in row 4 and 2 in row 2501 (`r.csv`)\n{hint}"),
            ),
        ],
    );
}

#[test]
fn splits_and_classes_that_leave_nothing() {
    check(
        "leave-nothing",
        &[
            (
                b"a,b,5\na,c,4\n",
                "[split]\nvalid = 1\ntest = 1",
                "the split of 2 rows leaves the train part empty\n\
                 hint: the file is too small for `split.valid` and `split.test`; lower them, or set them to 0",
            ),
            (
                b"a,b,5\na,c,4\n",
                "[oversample]\nfactors = { \"3\" = 2.0 }",
                "`oversample.factors` names class `3`, but the training split has the classes `4`, `5`\n\
                 hint: name classes as they stand in the file, for example `\"1\" = 2.0`",
            ),
            (
                b"a,b,5\na,c,4\n",
                "[oversample]\nfactors = { \"5\" = 0.5 }",
                "`oversample.factors`: class `5` has factor `0.5`, wanted a factor of at least 1; to weaken a class, raise the \
                 others (c.toml:4)\nhint: `configs/electronics.toml` explains every key",
            ),
            (
                b"a,b,5\na,c,4\n",
                "duplicates = \"mean\"\n[oversample]\nfactors = { \"5\" = 2.0 }",
                "`data.duplicates`: found `mean`, wanted `last` or `first`, because `oversample.factors` names rating classes \
                 and a mean falls between them (c.toml:3)\nhint: `configs/electronics.toml` explains every key",
            ),
            (
                b"a,b,5\na,c,4\n",
                "min_ratings_per_user = 3",
                "`r.csv`: of 2 rows none is left by `data.min_ratings_per_user` and `data.min_ratings_per_product`\n\
                 hint: lower `data.min_ratings_per_user` and `data.min_ratings_per_product`, or widen `data.since` and \
                 `data.until`",
            ),
        ],
    );
}

#[test]
fn a_damaged_parquet_file_that_panics_its_library_is_an_error_and_no_noise() {
    let folder = folder("damaged-parquet");
    let ratings: Vec<Rating> = (0..20)
        .map(|row| (format!("u{row}"), format!("p{}", row % 3), 4.0, row))
        .collect();
    let whole = parquet(&ratings, Compression::UNCOMPRESSED);
    let path = folder.join("r.parquet");
    let config = Config::default().data;
    // Each byte in turn is damaged; what the library panics on is told by these words.
    let mut panics: [Option<Vec<u8>>; 2] = [None, None];
    for place in 4..whole.len() {
        for damage in [0x01, 0x10, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[place] ^= damage;
            std::fs::write(&path, &bytes).unwrap();
            let Err(error) = ingest(&path, false, &config, &Silent) else {
                continue;
            };
            let message = error.to_string();
            for (found, words) in panics
                .iter_mut()
                .zip(["its footer contradicts itself", "its pages contradict one another"])
            {
                if message.contains(words) {
                    found.get_or_insert(bytes.clone());
                }
            }
        }
    }
    let found = panics.iter().flatten().count();
    assert!(
        found > 0,
        "no damage panics the library any more: is the guard still needed?"
    );
    for bytes in panics.iter().flatten() {
        let refused = refusal(&folder, Some(bytes.as_slice()), "");
        assert!(
            refused.starts_with("cannot read `r.csv`: damaged Parquet") && refused.contains("contradict"),
            "{refused}"
        );
        assert!(
            refused.ends_with("\nhint: check `data.path`; it must be a readable file"),
            "{refused}"
        );
        assert_eq!(refused.lines().count(), 2, "{refused}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
