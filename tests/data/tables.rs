//! Tables in the shapes that people meet, each with what it must be read as.
//!
//! `golden_tables.json` holds tables as pandas and pyarrow write and read them (`scripts/make_golden_tables.py`).

use crate::folder;
use crate::formats::{bzip2, gzip};
use dotcart::common::hint::Hint;
use dotcart::config::{Column, Config, DataConfig, Decimal};
use dotcart::data::fault::Fault;
use dotcart::data::ingest::{Ingested, ingest};
use dotcart::data::progress::Silent;
use dotcart::data::report::TimeUnit;
use std::path::Path;

pub fn read_file(path: &Path, adjust: impl FnOnce(&mut DataConfig)) -> Ingested {
    let mut config = Config::default().data;
    config.rating_scale = [1.0, 5.0].into();
    adjust(&mut config);
    ingest(path, false, &config, &Silent)
        .unwrap_or_else(|error| panic!("{}: {error} | {}", path.display(), error.hint()))
}

pub fn read(bytes: &[u8], adjust: impl FnOnce(&mut DataConfig)) -> Ingested {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let folder = folder(&format!(
        "table-{}",
        NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    ));
    let path = folder.join("table");
    std::fs::write(&path, bytes).unwrap();
    let data = read_file(&path, adjust);
    std::fs::remove_dir_all(folder).unwrap();
    data
}

/// A table that pandas and pyarrow wrote.
#[derive(serde::Deserialize)]
struct Golden {
    name: String,
    bytes: String,
    rows: Vec<String>,
}

impl Golden {
    fn bytes(&self) -> Vec<u8> {
        let byte = |place: usize| u8::from_str_radix(&self.bytes[place..place + 2], 16).unwrap();
        (0..self.bytes.len()).step_by(2).map(byte).collect()
    }
}

fn golden() -> Vec<Golden> {
    serde_json::from_str(include_str!("golden_tables.json")).unwrap()
}

/// The table of a name in `golden_tables.json`, such as `xz`.
pub fn golden_bytes(name: &str) -> Vec<u8> {
    golden().iter().find(|table| table.name == name).unwrap().bytes()
}

/// User, product, value and time of each row, grouped by user.
pub fn rows(data: &Ingested) -> Vec<String> {
    let row = |row: usize| {
        let row = data.interactions.row(row);
        let time = row.timestamp.map_or(String::new(), |time| format!(" {time}"));
        format!(
            "{} {} {}{time}",
            data.users.id(row.user),
            data.items.id(row.item),
            row.rating
        )
    };
    (0..data.interactions.len()).map(row).collect()
}

fn check(text: &str, wanted: &[&str]) {
    assert_eq!(rows(&read(text.as_bytes(), |_| {})), wanted, "{text}");
}

#[test]
fn names_decide_which_column_is_what() {
    let wanted = ["A1 B1 5 1400000000", "A2 B1 4 1400000001"];
    for text in [
        "ProductId,UserId,Rating,Timestamp\nB1,A1,5,1400000000\nB1,A2,4,1400000001\n",
        "item_id:token\tuser_id:token\trating:float\ttimestamp:float\nB1\tA1\t5.0\t1400000000\nB1\tA2\t4\t1400000001\n",
        ",userId,movieId,rating,timestamp\n0,A1,B1,5.0,1400000000\n1,A2,B1,4.0,1400000001\n",
        "rating,user,product,time\n5,A1,B1,1400000000\n4,A2,B1,1400000001\n",
        "Id,ProductId,UserId,ProfileName,HelpfulnessNumerator,Score,Time,Summary\n\
         1,B1,A1,Ann,0,5,1400000000,good\n2,B1,A2,Bob,3,4,1400000001,fine\n",
        "review_id,user_id,business_id,stars,useful,date\nx,A1,B1,5.0,1,2014-05-13 16:53:20\ny,A2,B1,4.0,0,2014-05-13 16:53:21\n",
        "\"rating\",\"user\",\"item\",\"date\"\n\"1\",5,\"A1\",\"B1\",2014-05-13T16:53:20Z\n\"2\",4,\"A2\",\"B1\",2014-05-13T16:53:21Z\n",
    ] {
        check(text, &wanted);
    }
    let json = "{\"stars\": 5, \"date\": \"2014-05-13 16:53:20\", \"user_id\": \"A1\", \"parent_asin\": \"B1\", \"asin\": \"X\"}\n\
                {\"stars\": 4, \"date\": \"2014-05-13 16:53:21\", \"user_id\": \"A2\", \"parent_asin\": \"B1\", \"asin\": \"X\"}\n";
    check(json, &wanted);
    let list = format!("[{}]", json.trim_end().replace('\n', ",\n"));
    check(&list, &wanted);
    check(&list.replace(", ", ",\n  "), &wanted);
    // The number of a column is believed where its name is not known.
    let given = |config: &mut DataConfig| config.columns.rating = Column::Number(3);
    let data = read(b"user_id,book_id,is_read,opinion\nu,b,1,4\nv,b,0,2\n", given);
    assert_eq!(rows(&data), ["u b 4", "v b 2"]);
    // Columns that were named inherit no timestamp from their neighbours.
    let named = |config: &mut DataConfig| {
        config.columns.user = Column::Name("who".into());
        config.columns.product = Column::Name("what".into());
        config.columns.rating = Column::Name("liked".into());
    };
    let data = read(b"who,what,liked,helpful\na,b,5,3\nb,b,4,0\n", named);
    assert_eq!(
        (rows(&data), data.report.has_timestamps),
        (vec!["a b 5".into(), "b b 4".into()], false)
    );
}

#[test]
fn a_header_of_numbers_is_a_header() {
    check("0,1,2,3\nA1,B1,5,1400000000\n", &["A1 B1 5 1400000000"]);
    check("0,1,2\n0,7,5\n1,7,4\n", &["0 1 2", "0 7 5", "1 7 4"]);
}

#[test]
fn delimiters_and_decimal_commas_are_told_by_numbers() {
    check("A1;B1;3,5\nA2;B1;4,0\n", &["A1 B1 3.5", "A2 B1 4"]);
    check(
        "A1;B1;3,5;1400000000,25\nA2;B1;4,0;1400000001,75\n",
        &["A1 B1 3.5 1400000000", "A2 B1 4 1400000001"],
    );
    check(
        "sep=;\ncustomer;item;stars;date\nA1;B1;3,5;2014-05-13\n",
        &["A1 B1 3.5 1399939200"],
    );
    let comma = |config: &mut DataConfig| config.decimal = Decimal::Comma;
    assert_eq!(
        rows(&read(b"A1,B1,\"3,5\"\nA2,B1,4\n", comma)),
        ["A1 B1 3.5", "A2 B1 4"]
    );
}

#[test]
fn ids_lose_padding_and_missing_words_are_no_ids() {
    let data = read(b"A1,B1 ,5\nA1 , B2,4\n\"A1 \",B1,3\na1,B1,2\n", |_| {});
    assert_eq!(data.users.ids().collect::<Vec<_>>(), ["A1", "A1 ", "a1"]);
    assert_eq!(data.items.ids().collect::<Vec<_>>(), ["B1", "B2"]);
    let alike = &data.report.look_alikes[0];
    assert_eq!((alike.side.as_str(), alike.count), ("user", 3));
    let words = ["nan", "NULL", "None", "N/A", "\\N", "<NA>"];
    let text: String = words.iter().map(|word| format!("{word},B1,5\nA1,{word},4\n")).collect();
    let data = read((text + "A2,B2,3\n").as_bytes(), |config| config.max_bad_rows = 0.99);
    assert_eq!(rows(&data), ["A2 B2 3"]);
    let bad = &data.report.bad_rows[0];
    assert_eq!((bad.fault, bad.count), (Fault::MissingId, 12));
    assert_eq!(
        bad.fault.describe(&bad.example),
        "the user id `nan` stands for a missing one"
    );
    let data = read(b"None,B1,5\n", |config| config.missing_ids.clear());
    assert_eq!(rows(&data), ["None B1 5"]);
}

#[test]
fn products_in_front_of_users_are_noticed() {
    let text = b"B00025ABC7,A046TEST00001,5.0,1400000000\nB0003KLMN9,A2CX7LUOHB2NDG,4.0,1400000000\n";
    let warnings = read(text, |_| {}).report.warnings;
    assert!(
        warnings[0].contains("`{ user = 1, product = 0, rating = 2, timestamp = 3 }`"),
        "{warnings:?}"
    );
    let swapped = read(text, |config| {
        config.columns.user = Column::Number(1);
        config.columns.product = Column::Number(0);
        config.columns.timestamp = Column::Number(3);
    });
    assert_eq!(rows(&swapped)[0], "A046TEST00001 B00025ABC7 5 1400000000");
    assert!(swapped.report.warnings.is_empty());
}

#[test]
fn ratings_and_times_are_read_as_people_write_them() {
    check("u,b,4.0 out of 5 stars\nv,b,1 star\n", &["u b 4", "v b 1"]);
    let scale = |config: &mut DataConfig| config.rating_scale = [0.0, 1.0].into();
    assert_eq!(
        rows(&read(b"user,item,rating\nu,b,True\nv,b,false\n", scale)),
        ["u b 1", "v b 0"]
    );
    for (unit, times, seconds) in [
        (Some(TimeUnit::Seconds), "1400000000.987", 1_400_000_000),
        (Some(TimeUnit::Milliseconds), "1400000000987", 1_400_000_000),
        (Some(TimeUnit::Microseconds), "1400000000987654", 1_400_000_000),
        (Some(TimeUnit::Nanoseconds), "1400000000987654321", 1_400_000_000),
        (None, "2014-05-13 18:53:20.5+02:00", 1_400_000_000),
    ] {
        let data = read(format!("u,b,4,{times}\n").as_bytes(), |_| {});
        assert_eq!(
            (rows(&data), data.report.time_unit),
            (vec![format!("u b 4 {seconds}")], unit)
        );
    }
    // What is no time is none, and that is said.
    let data = read(b"user,item,rating,date\nu,b,4,May 5th\nv,b,5,June 1st\n", |_| {});
    assert!(!data.report.has_timestamps);
    assert!(data.report.warnings[0].starts_with("column 3 `date` is not read as time: values such as `May 5th`"));
    assert!(read(b"u,b,4,7\nu,c,5,9\n", |_| {}).report.warnings[0].contains("near the year 1970"));
}

#[test]
fn values_that_mean_not_rated_are_left_out() {
    let ten = |config: &mut DataConfig| {
        config.rating_scale = [1.0, 10.0].into();
        config.unrated = vec![-1.0];
    };
    let data = read(b"user_id,anime_id,rating\n1,20,-1\n1,24,8\n2,20,10\n", ten);
    assert_eq!(
        (rows(&data), data.report.unrated),
        (vec!["1 24 8".into(), "2 20 10".into()], 1)
    );
    let text: String = (0..60)
        .map(|row| format!("u{row};b;{}\n", [0, 0, 0, 0, 7, 8][row % 6]))
        .collect();
    let data = read(text.as_bytes(), |config| config.rating_scale = [0.0, 10.0].into());
    assert!(
        data.report.warnings[0].contains("`data.unrated = [0]`"),
        "{:?}",
        data.report.warnings
    );
    let data = read(b"u,b,5\nv,b,5\n", |_| {});
    assert!(data.report.warnings[0].starts_with("all ratings are 5"));
}

#[test]
fn texts_with_line_breaks_and_inch_marks_are_read() {
    check(
        "user,item,review,rating\r\nu,b,\"good,\r\nvery \"\"good\"\"\r\n\r\nindeed\",5\r\nv,b,fine,4\r\n",
        &["u b 5", "v b 4"],
    );
    let data = read(b"u,5\" disk,5\nv,\"x,4\nw,\"y\" z,3\n", |config| {
        config.quote = String::new()
    });
    assert_eq!(rows(&data), ["u 5\" disk 5", "v \"x 4", "w \"y\" z 3"]);
}

#[test]
fn other_encodings_and_paddings_are_read() {
    let text = "user;item;rating\r\nJosé;電;4,5\r\n";
    let wide: Vec<u8> = std::iter::once(0xfeff)
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    for bytes in [wide.clone(), gzip(&wide), zstd::encode_all(wide.as_slice(), 1).unwrap()] {
        assert_eq!(rows(&read(&bytes, |_| {})), ["José 電 4.5"]);
    }
    let padded = [gzip(text.as_bytes()), vec![0; 512]].concat();
    let data = read(&padded, |_| {});
    assert_eq!(
        (rows(&data), data.report.warnings.len()),
        (vec!["José 電 4.5".to_string()], 1),
        "one rating value"
    );
    for (kind, packed) in [("gzip", padded), ("bzip2", bzip2(text.as_bytes()))] {
        let data = read(&[packed.as_slice(), b"tail"].concat(), |_| {});
        let garbage = &data.report.warnings[0];
        assert!(garbage.contains(&format!("behind its {kind} data")), "{garbage}");
        assert_eq!(
            (rows(&data).len(), data.report.detected.compression.as_deref()),
            (1, Some(kind))
        );
    }
}

#[test]
fn packed_parts_and_packed_titles_are_read() {
    let folder = folder("packed-parts");
    std::fs::create_dir(folder.join("parts")).unwrap();
    let mut wanted = Vec::new();
    for (place, name) in ["xz", "zip", "bzip2", "zip, stored"].into_iter().enumerate() {
        std::fs::write(folder.join(format!("parts/{place}")), golden_bytes(name)).unwrap();
        wanted.extend(rows(&read(&golden_bytes(name), |_| {})));
    }
    std::fs::write(folder.join("titles"), bzip2(b"x,One\ny,Two\n")).unwrap();
    let data = read_file(&folder.join("parts"), |config| config.titles = folder.join("titles"));
    assert_eq!((data.report.rows_read, data.report.files), (20, 4));
    wanted.sort();
    wanted.dedup();
    let mut found = rows(&data);
    found.sort();
    assert_eq!(found, wanted);
    let titles = data.report.titles.unwrap();
    assert_eq!(
        (titles.matched, titles.detected.compression.as_deref()),
        (2, Some("bzip2"))
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_user_that_begins_as_a_packing_does_is_a_user() {
    check("BZh9,x,5\nBZh91,y,4\n", &["BZh9 x 5", "BZh91 y 4"]);
    check("PK,x,5\nb,y,4\n", &["PK x 5", "b y 4"]);
    check("ORC1,x,5\nOrcus,y,4\n", &["ORC1 x 5", "Orcus y 4"]);
    check("LZIP1,x,5\nPAR1,y,4\n", &["LZIP1 x 5", "PAR1 y 4"]);
}

#[test]
fn ratings_in_percents_and_stars_are_read() {
    let data = read("user,item,rating\na,x,80%\nb,y,35 %\n".as_bytes(), |config| {
        config.rating_scale = [0.0, 100.0].into()
    });
    assert_eq!(rows(&data), ["a x 80", "b y 35"]);
    check("user,item,stars\na,x,★★★★☆\nb,y,⭐⭐\n", &["a x 4", "b y 2"]);
}

#[test]
fn a_column_whose_name_is_of_something_else_is_no_rating() {
    let data = read(b"customer_id,product_id,price\n39,8,5\n33,0,4\n39,0,3\n", |_| {});
    assert!(!data.report.has_ratings);
    let events = read(b"visitorid,event,itemid\n1,view,7\n2,addtocart,7\n", |_| {})
        .report
        .warnings;
    assert!(
        events[0].contains("column 1 `event` tells rows of several kinds apart"),
        "{events:?}"
    );
}

#[test]
fn days_in_eight_digits_are_days() {
    let wanted = ["a x 5 1399939200", "b x 4 1582934400"];
    check("user,item,rating,date\na,x,5,20140513\nb,x,4,20200229\n", &wanted);
    check(
        "{\"user\":\"a\",\"item\":\"x\",\"rating\":5,\"date\":20140513}\n",
        &wanted[..1],
    );
}

#[test]
fn what_stands_above_a_table_is_passed_over_and_said() {
    let table = "user,item,rating\na,x,5\nb,y,4\n";
    for above in ["Ratings report\n\n", "# made today\n# by us\n", "Report,,\n,,\n"] {
        let data = read((above.to_string() + table).as_bytes(), |_| {});
        assert_eq!(rows(&data), ["a x 5", "b y 4"], "{above}");
        let warnings = &data.report.warnings;
        assert!(
            warnings.iter().any(|text| text.starts_with("the table begins in row")),
            "{warnings:?}"
        );
    }
    let broken = read(b"a,,5\nb,y,4\nc,z,3\n", |config| config.max_bad_rows = 0.5);
    assert_eq!(
        broken.report.bad_rows[0].lines,
        [1],
        "a row without a product is a bad row, not a title"
    );
}

#[test]
fn ids_that_a_program_has_changed_and_names_that_stand_twice_are_said() {
    let said = |text: &str, part: &str| {
        let warnings = read(text.as_bytes(), |_| {}).report.warnings;
        assert!(
            warnings.iter().any(|warning| warning.contains(part)),
            "{text}: {warnings:?}"
        );
    };
    said(
        "u,i,r\n1.23457E+15,x,5\n1.23457E+15,y,4\n",
        "that a spreadsheet has rounded",
    );
    said("'15',x,5\n'23',y,4\n", "keep the quotes around them");
    said("user,item,rating\n15.0,x,5\n23.0,y,4\n", "keep their `.0`");
    said(
        "user,item,rating,rating\na,x,5,1\nb,y,4,2\n",
        "several columns are named `rating`: column 2",
    );
    let unquoted = read(b"'15',x,5\n'23',y,4\n", |config| config.quote = "'".to_string());
    assert_eq!(rows(&unquoted), ["15 x 5", "23 y 4"]);
}

#[test]
fn tables_without_ratings_are_choices() {
    let text = b"customer,sku,day\na,x,2014-05-13\na,y,2014-05-13\na,x,2014-05-14\nb,x,2014-05-13\n";
    let found = read(text, |config| config.columns.timestamp = Column::Name("day".into()));
    assert_eq!(
        rows(&found),
        ["a x 2 1400025600", "a y 1 1399939200", "b x 1 1399939200"]
    );
    assert!(!found.report.has_ratings && found.report.warnings[0].starts_with("no column looks like ratings"));
    assert_eq!(
        (found.report.duplicates.pairs, found.report.duplicates.rows_removed),
        (1, 1)
    );
    let asked = read(text, |config| config.columns.rating = Column::Name(String::new()));
    assert!(!asked.report.has_ratings && asked.report.warnings.is_empty());
    // A rating column is not read if nobody wants it; a count is, by number or by name.
    let counts = b"user,item,quantity\na,x,3\na,x,2\nb,y,12\n";
    assert_eq!(
        rows(&read(counts, |config| config.columns.count = Column::Name("quantity".into()))),
        ["a x 5", "b y 12"]
    );
    let unweighed = read(counts, |_| {});
    assert_eq!(rows(&unweighed), ["a x 2", "b y 1"]);
    assert!(unweighed.report.warnings[0].contains("`data.columns.count = \"quantity\"`"));
    let json = read(
        b"{\"user\":\"a\",\"item\":\"x\"}\n{\"user\":\"b\",\"item\":\"x\"}\n",
        |_| {},
    );
    assert_eq!(
        (rows(&json), json.report.has_ratings),
        (vec!["a x 1".into(), "b x 1".into()], false)
    );
    let plain = read(b"alice,apple\nbob,pear\n", |config| {
        config.columns.rating = Column::Name(String::new())
    });
    assert_eq!(rows(&plain), ["alice apple 1", "bob pear 1"]);
    let returns = read(b"user,item,quantity\na,x,3\nb,x,-1\n", |config| {
        config.columns.count = Column::Number(2);
        config.max_bad_rows = 0.5;
    });
    assert_eq!(returns.report.bad_rows[0].fault, Fault::NotACount);
}

#[test]
fn rows_of_ones_own_are_held_out_and_no_split_is_drawn() {
    let folder = folder("held-out");
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("train.csv", "a,x,5\nb,x,4\nb,y,3\na,x,1\n");
    write("valid.csv", "b,z,2\n");
    write("test.csv", "c,x,1\na,y,2\nb,y,5\n");
    let data = read_file(&folder.join("train.csv"), |config| {
        config.valid_path = folder.join("valid.csv");
        config.test_path = folder.join("test.csv");
    });
    assert_eq!(
        rows(&data),
        ["a x 1", "a y 2", "b x 4", "b y 3", "b z 2", "b y 5", "c x 1"]
    );
    assert_eq!(data.split.unwrap().parts(), [0, 2, 0, 0, 1, 2, 2]);
    let [valid, test] = data.report.held_out.as_slice() else {
        panic!("two tables")
    };
    assert_eq!(
        (valid.rows_kept, valid.new_users, valid.new_products, valid.also_trained),
        (1, 0, 1, 0)
    );
    assert_eq!(
        (test.rows_read, test.new_users, test.new_products, test.also_trained),
        (3, 1, 0, 1)
    );
    assert_eq!((data.report.rows_read, data.report.rows_kept), (8, 7));
    let alone = read_file(&folder.join("train.csv"), |config| {
        config.test_path = folder.join("test.csv")
    });
    assert_eq!(alone.split.unwrap().parts(), [0, 2, 0, 0, 2, 2]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_folder_or_a_glob_is_read_as_one_file() {
    let folder = folder("parts");
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    for name in ["_SUCCESS", ".part-00000.csv.crc", "_committed_1"] {
        write(name, b"no table");
    }
    write("part-00000.csv", b"user,item,rating,time\na,x,5,1400000000\n");
    write("part-00001.csv", b"user,item,rating,time\n");
    write("part-00002.csv.gz", &gzip(b"rating,user,item,time\n4,b,x,1400000001\n"));
    write("part-00003.csv", b"");
    write("part-00004.csv", b"a,y,3,1400000002\n");
    let wanted = ["a x 5 1400000000", "a y 3 1400000002", "b x 4 1400000001"];
    let data = read_file(&folder, |_| {});
    assert_eq!((rows(&data), data.report.files), (wanted.map(String::from).to_vec(), 5));
    assert_eq!(rows(&read_file(&folder.join("part-*"), |_| {})), wanted);
    assert_eq!(
        rows(&read_file(&folder.join("part-0000?.csv"), |_| {})),
        ["a x 5 1400000000", "a y 3 1400000002"]
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn tables_of_pandas_are_read_as_pandas_reads_them() {
    let golden = golden();
    assert!(golden.len() > 10);
    for table in golden {
        let mut found = rows(&read(&table.bytes(), |_| {}));
        let mut wanted = table.rows;
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "{}", table.name);
    }
}
