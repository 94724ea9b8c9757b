//! Files of other kinds that people try, told by their first bytes, each with what to do.

use super::format::HEAD;
use serde_json::{Map, Value};

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
        () if ["[Content_Types].xml", "xl/", "docProps/", "_rels/"]
            .into_iter()
            .any(holds) =>
        {
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
        "check `data.path`; text in UTF-16 without a mark, or in UTF-32, has to be saved as UTF-8",
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
    if begins("@relation") {
        return Some((
            "an ARFF file",
            "take its rows alone: `sed '1,/^@data/Id' FILE > ratings.csv`",
        ));
    }
    if ["insert into", "create table", "-- mysql dump", "-- postgresql"]
        .into_iter()
        .any(begins)
    {
        return Some((
            "a dump of an SQL database",
            "load it there, and write the table of ratings as CSV",
        ));
    }
    if begins("- ") && start.split(|byte| *byte == b'\n').nth(1).is_some_and(is_key_of_yaml) {
        return Some(("a YAML file", "write it as JSON: `yq -o json FILE > ratings.json`"));
    }
    if start.starts_with(b"[[") {
        return Some((
            "JSON of lists without names",
            "write it as CSV: `jq -r '.[] | @csv' FILE > ratings.csv`",
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
    let is_rule = |line: &[u8]| line.contains(&b'-') && line.iter().all(|byte| b"|-: +".contains(byte));
    if first.starts_with(b"|") && is_rule(second) {
        return Some((
            "a table of Markdown",
            "take the line of dashes and the bars at the ends out: `sed '2d; s/^| *//; s/ *|$//; s/ *| */,/g' FILE > ratings.csv`",
        ));
    }
    let is_pair = |line: &[u8]| {
        let mut parts = line.split(|byte| *byte == b'|');
        parts.next().is_some_and(is_number) && parts.next().is_some_and(is_number) && parts.next().is_none()
    };
    if is_pair(first)
        && second
            .split(|byte| *byte == b'\t')
            .filter(|part| !part.is_empty())
            .count()
            >= 2
    {
        return Some((
            "in the blocks of Yahoo, a user and its ratings below",
            "write a row each: `awk -F'[|\\t]' '/\\|/ {u = $1; next} {print u \",\" $1 \",\" $2}' FILE > ratings.csv`",
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

/// `  item: 18`
fn is_key_of_yaml(line: &[u8]) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let words = line.trim_ascii_start();
    let key = words.iter().take_while(|byte| is_word(byte)).count();
    line.starts_with(b"  ") && key > 0 && words[key..].starts_with(b": ")
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

/// What JSON is if it has one object, which is no row, and what to do with it; `head` is its beginning.
pub fn whole_object(head: &[u8]) -> Option<(&'static str, &'static str)> {
    const BY_COLUMNS: (&str, &str) = (
        "JSON by columns",
        "write it by rows, with pandas: `pd.DataFrame(json.load(open(FILE))).to_csv(\"ratings.csv\", index=False)`",
    );
    const SPLIT: (&str, &str) = (
        "JSON by columns, as pandas writes it",
        "write it by rows: `df.to_json(FILE, orient=\"records\", lines=True)`",
    );
    const INSIDE: (&str, &str) = (
        "JSON whose rows are in a list inside it",
        "take the list out: `jq -c '.NAME[]' FILE > ratings.jsonl`, with the name that it has",
    );
    const BY_USER: (&str, &str) = (
        "JSON with an object of products for each user",
        "write a row each: `jq -c 'to_entries[] | .key as $user | .value | to_entries[] | {user: $user, item: .key, rating: .value}' \
         FILE > ratings.jsonl`",
    );
    const BY_KEY: (&str, &str) = (
        "JSON with its rows under keys",
        "take the rows alone: `jq -c '.[]' FILE > ratings.jsonl`",
    );
    if !head.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let mut objects = serde_json::Deserializer::from_slice(head).into_iter::<Map<String, Value>>();
    let first = match objects.next() {
        Some(Ok(first)) => first,
        // A row ends where one looks.
        Some(Err(error)) if error.is_eof() && head.len() as u64 == HEAD => {
            let text = String::from_utf8_lossy(&head[..2_000]);
            let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            let values = compact.split_once("\":").map_or("", |(_, values)| values);
            return match () {
                () if compact.starts_with("{\"columns\":[") || compact.starts_with("{\"schema\":{") => Some(SPLIT),
                () if values.starts_with("{\"") && values.contains("},\"") => {
                    let inner = values.split_once("\":").map_or("", |(_, value)| value);
                    let is_number = inner.starts_with(|c: char| c.is_ascii_digit() || c == '-');
                    Some(
                        if is_number && !inner.contains('[') && !inner.split('}').next().unwrap_or("").contains(":\"") {
                            BY_USER
                        } else {
                            BY_KEY
                        },
                    )
                }
                () if values.starts_with("[{") => Some(INSIDE),
                () if values.starts_with('[') => Some(BY_COLUMNS),
                () => None,
            };
        }
        _ => return None,
    };
    if objects.next().is_some() {
        return None;
    }
    let inner: Vec<&Map<String, Value>> = first.values().filter_map(Value::as_object).collect();
    if inner.len() > 1 && inner.len() == first.len() {
        let are_ratings = inner.iter().all(|inner| inner.values().all(Value::is_number));
        return Some(if are_ratings { BY_USER } else { BY_KEY });
    }
    let lists: Vec<&Vec<Value>> = first.values().filter_map(Value::as_array).collect();
    let is_of_rows = |list: &&Vec<Value>| list.len() > 1 && list.iter().all(Value::is_object);
    match () {
        () if first.contains_key("columns") && first.contains_key("data") => Some(SPLIT),
        () if first.contains_key("schema") && first.contains_key("data") => Some(SPLIT),
        () if lists.len() == 1 && lists.iter().all(is_of_rows) => Some(INSIDE),
        () if lists.len() > 1 && lists.len() == first.len() && lists.iter().all(|list| list.len() > 1) => {
            Some(BY_COLUMNS)
        }
        () => None,
    }
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
