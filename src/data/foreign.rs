//! Files of other kinds that people try, told by their first bytes, each with what to do.

/// What a file is, if it is one that is known and not read, and what to do with it.
///
/// `head` is its beginning, unpacked.
pub fn foreign(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let binary = BINARY
        .iter()
        .find(|(magic, ..)| head.starts_with(magic))
        .map(|(_, found, hint)| (*found, *hint));
    binary
        .or_else(|| tar(head))
        .or_else(|| orc(head))
        .or_else(|| text(head))
        .or_else(|| no_text(head))
}

const PANDAS_CSV: &str = "with pandas: `df.to_csv(\"ratings.csv\", index=False)`";

const PACKED_TWICE: &str = "unpack it once; the packing inside is read";

const BINARY: [(&[u8], &str, &str); 27] = [
    (b"\x1f\x8b", "packed twice, with gzip inside", PACKED_TWICE),
    (b"\x28\xb5\x2f\xfd", "packed twice, with zstd inside", PACKED_TWICE),
    (b"BZh91AY&SY", "packed twice, with bzip2 inside", PACKED_TWICE),
    (b"\xfd7zXZ\0", "packed twice, with xz inside", PACKED_TWICE),
    (b"PK\x03\x04", "packed twice, with zip inside", PACKED_TWICE),
    (
        b"PAR1",
        "Parquet inside another packing",
        "unpack it first: Parquet is packed within, and is read as it stands",
    ),
    (
        b"PK\x05\x06",
        "a zip archive with nothing in it",
        "check `data.path`, and how the archive was made",
    ),
    (b"\x04\x22\x4d\x18", "packed with lz4", "unpack it first: `unlz4 FILE`"),
    (
        b"\xff\x06\0\0sNaPpY",
        "packed with snappy",
        "unpack it first: `snzip -d FILE`",
    ),
    (b"]\0\0", "packed with lzma", "unpack it first: `unlzma FILE`"),
    (b"LZIP\x01", "packed with lzip", "unpack it first: `lzip -d FILE`"),
    (
        b"\x1f\x9d",
        "packed with compress",
        "unpack it first: `uncompress FILE`",
    ),
    (b"\x89LZO\0", "packed with lzop", "unpack it first: `lzop -d FILE`"),
    (
        b"Obj\x01",
        "an Avro file",
        "write it as Parquet or CSV: with Spark, `spark.read.format(\"avro\").load(FILE).write.parquet(\"ratings\")`",
    ),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first: `7z x FILE`"),
    (b"Rar!", "a rar archive", "unpack it first: `unrar x FILE`"),
    (
        b"\xd0\xcf\x11\xe0",
        "an old Excel workbook (xls)",
        "save the sheet as CSV (UTF-8)",
    ),
    (
        b"SQLite format 3\0",
        "an SQLite database",
        "write the table as CSV: `sqlite3 -header -csv FILE 'select * from TABLE' > ratings.csv`",
    ),
    (b"\x80\x02", "a Python pickle", PANDAS_PICKLE),
    (b"\x80\x03", "a Python pickle", PANDAS_PICKLE),
    (b"\x80\x04", "a Python pickle", PANDAS_PICKLE),
    (b"\x80\x05", "a Python pickle", PANDAS_PICKLE),
    (
        b"ARROW1",
        "an Arrow (feather) file",
        "write it as Parquet, with pandas: `pd.read_feather(FILE).to_parquet(\"ratings.parquet\")`",
    ),
    (
        b"FEA1",
        "an old feather file",
        "write it as Parquet, with pandas: `pd.read_feather(FILE).to_parquet(\"ratings.parquet\")`",
    ),
    (b"\x89HDF", "an HDF5 file", PANDAS_CSV),
    (
        b"\x93NUMPY",
        "a NumPy array",
        "write it as text: `numpy.savetxt(\"ratings.csv\", numpy.load(FILE), delimiter=\",\")`",
    ),
    (b"%PDF", "a PDF document", "get the table itself, as CSV"),
];

const PANDAS_PICKLE: &str = "write it as Parquet, with pandas: `pd.read_pickle(FILE).to_parquet(\"ratings.parquet\")`";

/// What a zip archive is if it is known and no packed table, by the names of its entries.
pub fn zip_of(names: &[String]) -> Option<(&'static str, &'static str)> {
    let holds = |start: &str| names.iter().any(|name| name.starts_with(start));
    let is_each = |end: &str| !names.is_empty() && names.iter().all(|name| name.ends_with(end));
    match () {
        () if holds("word/") => Some(("a Word document (docx)", "get the table itself, as CSV")),
        () if holds("[Content_Types].xml") || holds("xl/") => {
            Some(("an Excel workbook (xlsx)", "save the sheet as CSV (UTF-8)"))
        }
        () if names.first().is_some_and(|name| name == "mimetype") => {
            Some(("an OpenDocument file (ods)", "save the sheet as CSV (UTF-8)"))
        }
        () if is_each(".npy") => Some((
            "a NumPy archive (npz)",
            "write its arrays as the columns of a CSV, with pandas: `pd.DataFrame(dict(numpy.load(FILE))).to_csv(\"ratings.csv\", index=False)`",
        )),
        () if names.iter().any(|name| name.ends_with("/data.pkl")) => {
            Some(("a PyTorch file", "load it there and write its rows as CSV"))
        }
        () => None,
    }
}

fn tar(head: &[u8]) -> Option<(&'static str, &'static str)> {
    (head.get(257..262) == Some(b"ustar")).then_some(("a tar archive", "unpack it first: `tar xf FILE`"))
}

/// Three letters may be a user, so there must be more that is no text.
fn orc(head: &[u8]) -> Option<(&'static str, &'static str)> {
    (head.starts_with(b"ORC") && memchr::memchr(0, head).is_some()).then_some((
        "an ORC file",
        "write it as Parquet, with pandas: `pd.read_orc(FILE).to_parquet(\"ratings.parquet\")`",
    ))
}

/// Control characters are rare in text, and of the one that may stand between its columns there are no others. A few are left to
/// the rows that they stand in.
fn no_text(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let mut counts = [0usize; 32];
    for &byte in head.iter().filter(|byte| **byte < 32 && !byte.is_ascii_whitespace()) {
        counts[usize::from(byte)] += 1;
    }
    let delimiter = counts[1..].iter().max().copied().unwrap_or(0);
    let strange = counts.iter().sum::<usize>() - delimiter;
    (strange >= 16 && strange * 20 > head.len()).then_some((
        "no table: its bytes are not text",
        "check `data.path`; text in UTF-16 without a mark has to be saved as UTF-8",
    ))
}

fn text(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let start = head.trim_ascii_start();
    let begins = |word: &str| {
        start
            .get(..word.len())
            .is_some_and(|text| text.eq_ignore_ascii_case(word.as_bytes()))
    };
    if begins("version https://git-lfs") {
        return Some((
            "a pointer of Git LFS, not the file itself",
            "get the file: `git lfs pull`",
        ));
    }
    if begins("<!doctype html") || begins("<html") {
        return Some((
            "an HTML page",
            "get the table itself: a browser's \"save as\" saves the page around it",
        ));
    }
    if begins("<?xml") {
        return Some(("an XML document", "write its rows as CSV"));
    }
    if begins("%%MatrixMarket") {
        return Some((
            "a Matrix Market file",
            "write user, product and value a line: `grep -v '^%' FILE | tail -n +2 > ratings.txt`",
        ));
    }
    if is_columns_of_pandas(start) {
        return Some((
            "JSON by columns, as pandas writes it",
            "write it by rows: `df.to_json(FILE, orient=\"records\", lines=True)`",
        ));
    }
    let mut lines = start.split(|byte| *byte == b'\n').map(|line| line.trim_ascii_end());
    let first = lines.next().unwrap_or_default();
    let second = lines.next().unwrap_or_default();
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if first.strip_suffix(b":").is_some_and(is_number) && second.split(|byte| *byte == b',').count() == 3 {
        return Some((
            "in the blocks of the Netflix prize, a movie and its ratings below",
            "write a row each: `awk -F, '/:$/ {sub(\":\", \"\"); movie = $0; next} {print $1 \",\" movie \",\" $2 \",\" $3}' FILE > ratings.csv`",
        ));
    }
    if first.starts_with(b"product/productId:")
        || first.starts_with(b"review/userId:")
        || first.starts_with(b"beer/name:")
    {
        return Some((
            "in the blocks of SNAP, a line a value",
            "write a row each: `awk -F': ' '$1 == \"product/productId\" {p = $2} $1 == \"review/userId\" {u = $2} $1 == \"review/score\" {print u \"\\t\" p \"\\t\" $2}' FILE > ratings.tsv`",
        ));
    }
    if is_libsvm(first) && (second.is_empty() || is_libsvm(second)) {
        return Some((
            "in libsvm's format, a line a user or a label",
            "write user, product and rating a line: `awk '{for (i = 2; i <= NF; i++) {split($i, f, \":\"); print NR \",\" f[1] \",\" f[2]}}' FILE > ratings.csv`",
        ));
    }
    None
}

/// `{"user":{"0":"a","1":...`
fn is_columns_of_pandas(start: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&start[..start.len().min(2_000)]);
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let Some(rest) = compact.strip_prefix("{\"") else {
        return false;
    };
    let Some((_, values)) = rest.split_once("\":") else {
        return false;
    };
    values.starts_with("{\"0\":")
}

/// `4 1:0.5 7:1`
fn is_libsvm(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else {
        return false;
    };
    let mut words = line.split_ascii_whitespace();
    let label = words.next().is_some_and(|label| label.parse::<f64>().is_ok());
    let mut pairs = 0;
    label
        && words.all(|word| {
            pairs += 1;
            word.split_once(':')
                .is_some_and(|(index, value)| index.parse::<u64>().is_ok() && value.parse::<f64>().is_ok())
        })
        && pairs > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_not_taken_for_something_else() {
        for table in [
            "user,product,rating\na,b,5\n",
            "1::1193::5::978300760\n1::661::3::978302109\n",
            "196\t242\t3\t881250949\n",
            "1 2 5\n",
            "{\"user\":\"a\",\"item\":{\"0\":1}}\n",
            "12:30,b,5\n",
            "a\u{1}b\u{1}5\nc\u{1}d\u{1}4\n",
            "a\0,b,5\nc,d,4\nthe rest of it,is a table,3\n",
        ] {
            assert_eq!(foreign(table.as_bytes()), None, "{table}");
        }
    }
}
