//! Bad files and bad configs, through the binary: the whole message, the hint and the exit code.

use crate::folder;
use crate::formats::{Rating, bzip2, gzip, parquet};
use crate::tables::golden_bytes;
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
fn a_file_of_another_kind_is_named_with_what_to_do() {
    let tar = [vec![b'a'; 257], b"ustar\0".to_vec(), vec![0; 300]].concat();
    let entry = |name: &str, flags: u8, method: u8| {
        let head = [b"PK\x03\x04\x14\0".as_slice(), &[flags, 0, method, 0], &[0; 16]].concat();
        [head.as_slice(), &[name.len() as u8, 0, 0, 0], name.as_bytes()].concat()
    };
    let xlsx = entry("[Content_Types].xml", 6, 8);
    let noise: Vec<u8> = (0u32..2_000)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let rows: Vec<String> = (0..4_000)
        .map(|row| format!("{{\"user\":{row},\"item\":7,\"rating\":5}}"))
        .collect();
    let long_list = format!("{{\"ratings\": [{}]}}", rows.join(", ")).into_bytes();
    let kinds: [(&[u8], &str, &str); 42] = [
        (&noise, "no table: its bytes are not text", "check `data.path`"),
        (&gzip(&noise), "no table: its bytes are not text", "check `data.path`"),
        (
            &b"u\0,\0p\0,\x005\0\n\0".repeat(5),
            "no table",
            "check `data.path`; text in UTF-16",
        ),
        (
            &entry("ratings.csv", 1, 8),
            "an encrypted zip archive",
            "unpack it first: `unzip FILE` asks",
        ),
        (
            &entry("ratings.csv", 0, 9),
            "a zip archive packed with Deflate64",
            "unpack it first: `unzip FILE`",
        ),
        (
            &entry("mimetype", 0, 0),
            "an OpenDocument file (ods)",
            "save the sheet as CSV (UTF-8)",
        ),
        (
            b"PK\x05\x06\0\0\0\0",
            "a zip archive with nothing in it",
            "check `data.path`",
        ),
        (
            &gzip(&gzip(b"a,b,5\n")),
            "packed twice, with gzip inside",
            "unpack it once",
        ),
        (
            &bzip2(&golden_bytes("zip")),
            "packed twice, with zip inside",
            "unpack it once",
        ),
        (
            &gzip(&golden_bytes("float16")),
            "Parquet inside another packing",
            "unpack it first",
        ),
        (&xlsx, "an Excel workbook (xlsx)", "save the sheet as CSV (UTF-8)"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1",
            "an old Excel workbook (xls)",
            "save the sheet as CSV (UTF-8)",
        ),
        (b"\x04\x22\x4d\x18", "packed with lz4", "unpack it first: `unlz4 FILE`"),
        (
            b"]\0\0\x80\0\xff\xff",
            "packed with lzma",
            "unpack it first: `unlzma FILE`",
        ),
        (b"ORC\n\x05\0", "an ORC file", "write it as Parquet, with pandas"),
        (
            b"SQLite format 3\0",
            "an SQLite database",
            "write the table as CSV: `sqlite3",
        ),
        (
            b"\x80\x04\x95",
            "a Python pickle",
            "write it as Parquet, with pandas: `pd.read_pickle(FILE)",
        ),
        (
            b"ARROW1\0\0",
            "an Arrow (feather) file",
            "write it as Parquet, with pandas: `pd.read_feather(FILE)",
        ),
        (&tar, "a tar archive", "unpack it first: `tar xf FILE`"),
        (&gzip(&tar), "a tar archive", "unpack it first: `tar xf FILE`"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
            "a pointer of Git LFS, not the file itself",
            "get the file: `git lfs pull`",
        ),
        (b"\n<!DOCTYPE html>\n<html>", "an HTML page", "get the table itself"),
        (
            b"%%MatrixMarket matrix coordinate real general\n2 2 1\n1 1 5\n",
            "a Matrix Market file",
            "write user, product and value a line",
        ),
        (
            b"1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n",
            "in the blocks of the Netflix prize",
            "write a row each: `awk",
        ),
        (
            b"product/productId: B001\nreview/userId: A1\nreview/score: 5.0\n",
            "in the blocks of SNAP",
            "write a row each: `awk",
        ),
        (
            b"{\"user\":{\"0\":\"a\",\"1\":\"b\"},\"item\":{\"0\":\"x\",\"1\":\"y\"}}",
            "JSON by columns, as pandas writes it",
            "write it by rows: `df.to_json(FILE, orient=\"records\", lines=True)`",
        ),
        (
            b"5 1:0.5 7:1\n3 2:1\n",
            "in libsvm's format",
            "write user, product and rating a line: `awk",
        ),
        (
            b"{\"columns\":[\"user\",\"item\"],\"index\":[0],\"data\":[[1,2]]}",
            "JSON by columns, as pandas writes it",
            "write it by rows",
        ),
        (
            b"{\"user\":[1,2],\"item\":[3,4],\"rating\":[5,4]}",
            "JSON by columns",
            "write it by rows",
        ),
        (
            b"{\"ratings\":[{\"user\":1,\"item\":2},{\"user\":1,\"item\":3}],\"page\":1}",
            "JSON whose rows are in a list inside it",
            "take the list out: `jq",
        ),
        (
            &long_list,
            "JSON whose rows are in a list inside it",
            "take the list out",
        ),
        (
            b"{\"u1\":{\"i1\":5,\"i2\":4},\"u2\":{\"i1\":3}}",
            "JSON with an object of products for each user",
            "write a row each: `jq",
        ),
        (
            b"{\"1\":{\"user\":1,\"item\":\"x\"},\"2\":{\"user\":1,\"item\":\"y\"}}",
            "JSON with its rows under keys",
            "take the rows alone: `jq",
        ),
        (
            b"- user: 1\n  item: 2\n  rating: 5\n",
            "a YAML file",
            "write it as JSON",
        ),
        (
            b"[[1,2,5],[1,3,4]]",
            "JSON of lists without names",
            "write it as CSV: `jq",
        ),
        (
            b"| user | item | rating |\n|---|:---|---|\n| a | b | 5 |\n",
            "a table of Markdown",
            "take the line of dashes",
        ),
        (
            b"@RELATION r\n@attribute user numeric\n",
            "an ARFF file",
            "take its rows alone",
        ),
        (
            b"INSERT INTO ratings VALUES\n(1,2,5),\n",
            "a dump of an SQL database",
            "load it there",
        ),
        (
            b"0|2\n507696\t90\n137915\t70\n",
            "in the blocks of Yahoo",
            "write a row each: `awk",
        ),
        (b"\x89HDF\r\n", "an HDF5 file", "with pandas"),
        (b"\x93NUMPY\x01\0", "a NumPy array", "write it as text"),
        (b"%PDF-1.7", "a PDF document", "get the table itself"),
    ];
    let folder = folder("kinds");
    for (bytes, found, hint) in kinds {
        let refused = refusal(&folder, Some(bytes), "");
        let (error, said) = refused.split_once("\nhint: ").unwrap();
        assert!(error.starts_with(&format!("`r.csv` is {found}")), "{refused}");
        assert!(error.ends_with(", wanted delimited text, JSON or Parquet"), "{refused}");
        assert!(said.starts_with(hint), "{refused}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_folder_that_holds_no_table() {
    let folder = folder("directory");
    const HINT: &str = "hint: a folder or a glob of `data.path` stands for files of one table";
    std::fs::create_dir(folder.join("r.csv")).unwrap();
    std::fs::write(folder.join("r.csv/_SUCCESS"), "").unwrap();
    assert_eq!(
        refusal(&folder, None, ""),
        format!("`r.csv` holds no file of ratings\n{HINT}")
    );
    std::fs::create_dir(folder.join("r.csv/more")).unwrap();
    assert_eq!(
        refusal(&folder, None, ""),
        format!("`r.csv/more` is a folder among files of ratings\n{HINT}")
    );
    std::fs::remove_dir(folder.join("r.csv/more")).unwrap();
    std::fs::write(folder.join("r.csv/part-0.csv"), "a,b,5\nb,b,4\n").unwrap();
    std::fs::write(folder.join("r.csv/part-1.csv"), "a,c,5\nb,c,x\n").unwrap();
    assert_eq!(
        refusal(&folder, None, ""),
        format!("the rating `x` is not a number (r.csv/part-1.csv:2); bad rows: 1 of 4, allowed: 0\n{MEND}")
    );
    std::fs::write(folder.join("r.csv/part-1.csv"), b"\x80\x04\x95").unwrap();
    assert!(refusal(&folder, None, "").starts_with("`r.csv/part-1.csv` is a Python pickle"));
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
                b"{\"a\":\"a\",\"b\":\"c\",\"item\":\"b\",\"rating\":5}\n",
                "",
                "`r.csv`: it is not clear which column is the user; there are `a`, `b`, `item`, `rating`\n\
                 hint: set `data.columns.user`",
            ),
            (
                b"ProductId,UserId,Rating,Timestamp\nB1,A1,5,1400000000\n",
                "columns = { user = 0, product = 1, rating = 2, timestamp = 3 }",
                "`r.csv`: `data.columns.user = 0` is column `ProductId`, which names the product\n\
                 hint: set `data.columns.user = \"UserId\"`, or \"ProductId\" if that is what is meant",
            ),
            (
                b"user_id,item_id,helpful,stars_given_in_june\na,b,1,4\nb,b,0,5\n",
                "",
                "`r.csv`: it is not clear which column is the rating; there are `user_id`, `item_id`, `helpful`, \
                 `stars_given_in_june`\nhint: set `data.columns.rating`, perhaps to 2 `helpful` or 3 `stars_given_in_june`; \
                 `\"\"` reads each row as a choice",
            ),
            (
                b"alice,apple\nbob,pear\n",
                "header = false",
                "`r.csv`: it is not clear which column is the rating; there are `0`, `1`\n\
                 hint: set `data.columns.rating` to the column that holds the ratings; `\"\"` reads each row as a choice",
            ),
            (
                b"who,what,words\na,b,good\nb,b,5\n",
                "",
                "the rating `good` is not a number (r.csv:2); bad rows: 1 of 2, allowed: 0\n\
                 hint: line 1 was taken for the header, and its column 2 `words` for the rating; in line 2 `good` stands there: \
                 set `data.columns.rating` to the column that holds ratings, or `data.header = false` if line 1 is a rating",
            ),
            (
                b"a,b,5\n",
                "titles = \"none.csv\"",
                "cannot read `none.csv`: No such file or directory (os error 2)\n\
                 hint: check `data.titles`; it must be a readable file",
            ),
            (
                b"a,b,5\n",
                "test_path = \"none.csv\"",
                "cannot read `none.csv`: No such file or directory (os error 2)\n\
                 hint: check `data.test_path`; it must be a readable file",
            ),
            (
                b"a,b,5\n",
                "columns.item = 1",
                "unknown key `data.columns.item` (c.toml:3)\nhint: did you mean `data.columns.product`?",
            ),
            (
                b"a,b,5\n",
                "columns.usr = 1",
                "unknown key `data.columns.usr` (c.toml:3)\nhint: did you mean `data.columns.user`?",
            ),
            (
                b"a,b,5\n",
                "rating_scale = [3, 3]",
                "`data.rating_scale`: found `[3, 3]`, wanted two numbers, the lower first (c.toml:3)\n\
                 hint: `configs/electronics.toml` explains every key",
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
                "`data.columns`: found `0, 1, 0, 3, \"\"`, wanted different columns (c.toml:3)\nhint: `configs/electronics.toml` explains every key",
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
                 hint: save the file as UTF-8, such as with `iconv -f latin1 -t utf-8 FILE > ratings.csv`, or raise `data.max_bad_rows`",
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
                    "-20 stands below all other ratings: if it means \"not rated\", set `data.unrated = [-20]`; if it is a rating, \
                     set `data.rating_scale = [-20, 5]`",
                ),
            ),
            (b"a,b,nan\na,c,5\nb,c,1\n", "header = false", &off("nan", 1, MEND_ROW)),
            (b"a,b,1\na,c,inf\nb,c,1\n", "", &off("inf", 2, MEND_ROW)),
        ],
    );
}

#[test]
fn values_that_are_no_ratings_lead_to_what_is() {
    let hint = |bytes: &[u8], config: &str| {
        let folder = folder("suspicions");
        let refused = refusal(&folder, Some(bytes), config);
        std::fs::remove_dir_all(folder).unwrap();
        refused.split_once("\nhint: ").unwrap().1.to_string()
    };
    // The columns of Goodreads without a header: `is_read` stands before the rating.
    assert_eq!(
        hint(b"u1,b1,1,5\nu1,b2,0,3\nu2,b1,1,4\n", "columns.timestamp = \"\""),
        "column 2 does not look like ratings, column 3 does: set `data.columns.rating = 3`, and, \
         if they are not columns 0 and 1, `data.columns.user` and `data.columns.product`"
    );
    assert_eq!(
        hint(
            b"u,p,t,opinion\na,b,1400000000,5\nb,b,1400000007,3\n",
            "columns.timestamp = \"\""
        ),
        "column 2 `t` does not look like ratings, column 3 `opinion` does: set `data.columns.rating = \"opinion\"`"
    );
    assert_eq!(
        hint(b"a,b,1400000000\nb,b,1400000007\n", ""),
        "column 2 does not look like ratings: set `data.columns.rating` to the column that holds them"
    );
    // The anime set.
    assert_eq!(
        hint(b"user_id,anime_id,rating\n1,20,-1\n1,24,8\n2,20,10\n", ""),
        "-1 stands below all other ratings: if it means \"not rated\", set `data.unrated = [-1]` and \
         `data.rating_scale = [1, 10]`; if it is a rating, set `data.rating_scale = [-1, 10]`"
    );
    assert_eq!(
        hint(b"a,b,1\na,c,12\nb,c,2\n", ""),
        "column 2 looks like counts, not like ratings: to learn from what was chosen, and how often, set \
         `data.columns.rating = \"\"` and `data.columns.count = 2`"
    );
    assert_eq!(
        hint(b"A1,B1,\"3,5\"\nA2,B1,\"4,0\"\n", ""),
        "if a comma stands before the fraction, set `data.decimal = \",\"`"
    );
    assert_eq!(
        hint(b"nan,b,5\nnan,c,4\na,c,3\n", ""),
        "mend the row, raise `data.max_bad_rows`, or take the word out of `data.missing_ids` if it is an id here"
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
    const HINT: &str =
        "hint: close the quote, or double it if it is part of the text; `data.quote = \"\"` takes quotes for text";
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
    let (bz2, xz, zip) = (bzip2(rows.as_bytes()), golden_bytes("xz"), golden_bytes("zip"));
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
            (
                &[bz2.as_slice(), &bz2[..9]].concat(),
                "",
                &format!("bzip2 data ends too early (`r.csv`, after line 100)\n{hint}"),
            ),
            (
                &xz[..xz.len() - 5],
                "",
                &format!("xz data ends too early (`r.csv`, after line 6)\n{hint}"),
            ),
            (
                &zip[..60],
                "",
                &format!("zip data ends too early (`r.csv`, after line 0)\n{hint}"),
            ),
        ],
    );
}

#[test]
fn packed_files_that_are_damaged_or_hold_several_tables() {
    let file = "hint: the file was changed, perhaps by a broken download: get it again";
    let damaged = |bytes: &[u8], place: usize| {
        let mut bytes = bytes.to_vec();
        bytes[place] ^= 16;
        bytes
    };
    let (stored, bz2, xz) = (golden_bytes("zip, stored"), golden_bytes("bzip2"), golden_bytes("xz"));
    check(
        "damaged-packing",
        &[
            (
                &damaged(&stored, 60),
                "",
                &format!(
                    "cannot read `r.csv`: damaged zip data after line 6: its checksum or its length is another\n{file}"
                ),
            ),
            (
                &damaged(&bz2, 40),
                "",
                &format!("cannot read `r.csv`: damaged bzip2 data after line 0: bzip2: invalid data\n{file}"),
            ),
            (
                &damaged(&xz, 40),
                "",
                &format!("cannot read `r.csv`: damaged xz data after line 1: invalid block checksum\n{file}"),
            ),
        ],
    );
}

/// Each hint is to be followed, so some of these cases come from following one.
#[test]
fn hints_name_what_is_likely_meant() {
    let off = |value: &str, line: usize, bad: usize, rows: usize| {
        format!("the rating `{value}` is off the scale [1, 5] (r.csv:{line}); bad rows: {bad} of {rows}, allowed: 0")
    };
    let times_first = b"1417505051,115,1018,4\n1463626388,123,1029,5\n1401767377,137,1002,3\n";
    check(
        "hints",
        &[
            (
                times_first,
                "",
                &format!(
                    "{}\nhint: column 2 does not look like ratings, column 3 does: set `data.columns = {{ user = 1, product = 2, \
                     rating = 3, timestamp = 0 }}`",
                    off("1018", 1, 3, 3)
                ),
            ),
            (
                b"a\tx\t112\nb\ty\t7\nc\tx\t1300\nd\tz\t200\n",
                "",
                &format!(
                    "{}\nhint: column 2 does not look like ratings: set `data.columns.rating` to the column that holds them; if it \
                     says how often something was chosen, set `data.columns.rating = \"\"` and `data.columns.count = 2`",
                    off("112", 1, 4, 4)
                ),
            ),
            (
                b"user,item,rating\na,x,1\nb,y,-1\nc,x,1\n",
                "",
                &format!(
                    "{}\nhint: -1 stands below all other ratings: if it means \"not rated\", set `data.unrated = [-1]`; if it is a \
                     rating, set `data.rating_scale = [-1, 1]`",
                    off("-1", 3, 1, 3)
                ),
            ),
            (
                b"user,item,rating\na,x,3\nb,y,99\nc,x,5\n",
                "",
                &format!(
                    "{}\nhint: 99 stands above all other ratings: if it means \"not rated\", set `data.unrated = [99]`",
                    off("99", 3, 1, 3)
                ),
            ),
            (
                b"user,item,rating\na,x,3\nuser,item,rating\nc,x,5\n",
                "",
                "the rating `rating` is not a number (r.csv:3); bad rows: 1 of 3, allowed: 0\n\
                 hint: the row repeats the header, as where files were joined: take it out, or give the files themselves, as a folder \
                 or a glob",
            ),
            (
                b"39,59,1008,5\n33,53,1000,4\n31,23,1007,3\n",
                "",
                &format!(
                    "{}\nhint: column 2 does not look like ratings, column 3 does: set `data.columns.rating = 3`, and, \
                     if they are not columns 0 and 1, `data.columns.user` and `data.columns.product`",
                    off("1008", 1, 3, 3)
                ),
            ),
            (
                b"15,Game,play,122.8\n23,Other,play,61.4\n",
                "",
                "the rating `play` is not a number (r.csv:1); bad rows: 2 of 2, allowed: 0\n\
                 hint: column 2 holds no numbers: set `data.columns.rating` to the column that holds ratings; `\"\"` reads each row as \
                 a choice",
            ),
            (
                b"user,i0,i1,i2,i3,i4,i5,i6,i7\na,5,,3,,1,,,2\nb,,4,,2,,5,1,\n",
                "",
                "`r.csv` seems to be a matrix, a user a row and a product a column: 8 of its columns hold ratings\n\
                 hint: write a row for each rating, with pandas: `df = pd.read_csv(FILE); df.melt(df.columns[0], var_name=\"product\", \
                 value_name=\"rating\").dropna().to_csv(\"ratings.csv\", index=False)`; if it is none, set `data.columns`",
            ),
            (
                b"15#18#4\n23#29#5\n",
                "",
                "`r.csv`: no delimiter cuts its lines, such as `23#29#5`, into columns\n\
                 hint: set `data.delimiter` to what stands between two columns, such as `data.delimiter = \"#\"`",
            ),
            (
                b"p1,p2,p3\np1,p4,p5,p6,p7\np1,p2,p3,p4\np2,p4,p6,p8\np1,p2\np1,p2,p3,p4,p5,p6\n",
                "",
                "found 3 columns, wanted 4 (r.csv:1); bad rows: 6 of 6, allowed: 0\n\
                 hint: is a row a user and all its products? then write a row for each: `awk -F',' '{for (i = 2; i <= NF; i++) print $1 \
                 \",\" $i}' FILE > ratings.csv`; if it is products alone, `i = 1` and `NR` for `$1`; else set `data.delimiter` to what \
                 stands between two columns",
            ),
            (
                b"{\"user\":{\"id\":1},\"item\":2,\"rating\":4}\n{\"user\":{\"id\":2},\"item\":2,\"rating\":5}\n",
                "",
                "`r.csv`: the user `user` is an object itself, wanted text or a number\n\
                 hint: take the value out of it: `jq -c '.user = .user[\"id\"]' FILE > ratings.jsonl`",
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
