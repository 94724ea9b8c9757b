//! Every type that a Parquet column of ids, ratings or times may have, and what its values are.

use crate::folder;
use crate::formats::{Rating, parquet};
use crate::tables::{read, read_file, rows};
use parquet::basic::Compression;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int32Type,
    Int64Type, Int96, Int96Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use std::sync::Arc;

type Write<'a> = &'a dyn Fn(&mut SerializedRowGroupWriter<'_, Vec<u8>>);

fn column<T: DataType>(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, values: &[T::T]) {
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(values, None, None).unwrap();
    column.close().unwrap();
}

/// A file of these columns: user, item, rating, time.
fn file(types: [&str; 4], columns: [Write; 4]) -> Vec<u8> {
    let [user, item, rating, time] = types;
    let field = |of: &str, name: &str| match of.split_once(' ') {
        Some((of, logical)) => format!("required {of} {name} {logical};"),
        None => format!("required {of} {name};"),
    };
    let fields = [(user, "user"), (item, "item"), (rating, "rating"), (time, "time")].map(|(of, name)| field(of, name));
    let schema = Arc::new(parse_message_type(&format!("message m {{ {} }}", fields.concat())).unwrap());
    let mut file =
        SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::builder().build())).unwrap();
    let mut group = file.next_row_group().unwrap();
    columns.iter().for_each(|write| write(&mut group));
    group.close().unwrap();
    file.into_inner().unwrap()
}

const DAY: i32 = 16_203;
const NOON: i64 = 1_399_939_200 + 43_200;

#[test]
fn bits_are_read_as_what_they_stand_for() {
    let fixed = |bytes: &[u8]| FixedLenByteArray::from(bytes.to_vec());
    let users: [(&str, Write, [&str; 2]); 5] = [
        (
            "int64 (INTEGER(64,false))",
            &|group| column::<Int64Type>(group, &[-1, 7]),
            ["18446744073709551615", "7"],
        ),
        (
            "int32 (UINT_32)",
            &|group| column::<Int32Type>(group, &[-2, 7]),
            ["4294967294", "7"],
        ),
        ("int64", &|group| column::<Int64Type>(group, &[-1, 7]), ["-1", "7"]),
        (
            "int64 (DECIMAL(18,0))",
            &|group| column::<Int64Type>(group, &[12, 7]),
            ["12", "7"],
        ),
        (
            "double",
            &|group| column::<DoubleType>(group, &[12.0, 7.0]),
            ["12", "7"],
        ),
    ];
    let ratings: [(&str, Write, [&str; 2]); 5] = [
        (
            "int32 (DECIMAL(3,1))",
            &|group| column::<Int32Type>(group, &[45, 10]),
            ["4.5", "1"],
        ),
        (
            "fixed_len_byte_array(2) (DECIMAL(4,2))",
            &|group| column::<FixedLenByteArrayType>(group, &[fixed(&[1, 0xc2]), fixed(&[0, 100])]),
            ["4.5", "1"],
        ),
        (
            "byte_array (DECIMAL(4,2))",
            &|group| column::<ByteArrayType>(group, &[ByteArray::from(vec![1, 0xc2]), ByteArray::from(vec![100])]),
            ["4.5", "1"],
        ),
        (
            "fixed_len_byte_array(2) (FLOAT16)",
            &|group| column::<FixedLenByteArrayType>(group, &[fixed(&[0x80, 0x44]), fixed(&[0, 0x3c])]),
            ["4.5", "1"],
        ),
        (
            "boolean",
            &|group| column::<BoolType>(group, &[true, false]),
            ["1", "0"],
        ),
    ];
    let mut old = Int96::new();
    // Nanoseconds of the day in two words, then the Julian day.
    let noon = 43_200_000_000_000u64;
    old.set_data(noon as u32, (noon >> 32) as u32, 2_440_588 + DAY as u32);
    let times: [(&str, Write, i64); 6] = [
        (
            "int32 (DATE)",
            &|group| column::<Int32Type>(group, &[DAY, DAY]),
            NOON - 43_200,
        ),
        ("int96", &|group| column::<Int96Type>(group, &[old, old]), NOON),
        (
            "int64 (TIMESTAMP_MILLIS)",
            &|group| column::<Int64Type>(group, &[NOON * 1_000 + 999; 2]),
            NOON,
        ),
        (
            "int64 (TIMESTAMP(MICROS,true))",
            &|group| column::<Int64Type>(group, &[NOON * 1_000_000 + 1; 2]),
            NOON,
        ),
        (
            "int64 (TIMESTAMP(NANOS,false))",
            &|group| column::<Int64Type>(group, &[NOON * 1_000_000_000; 2]),
            NOON,
        ),
        ("int64", &|group| column::<Int64Type>(group, &[NOON; 2]), NOON),
    ];
    for (number, (time_type, time, seconds)) in times.iter().enumerate() {
        let (user_type, user, ids) = &users[number % users.len()];
        let (rating_type, rating, values) = &ratings[number % ratings.len()];
        let uuids = ["fixed_len_byte_array(16) (UUID)"];
        let item: Write = &|group| column::<FixedLenByteArrayType>(group, &[fixed(&[0x11; 16]), fixed(&[0x11; 16])]);
        let bytes = file(
            [user_type, uuids[0], rating_type, time_type],
            [*user, item, *rating, *time],
        );
        let data = read(&bytes, |config| config.rating_scale = [0.0, 5.0].into());
        let wanted = [0, 1].map(|row| {
            format!(
                "{} 11111111-1111-1111-1111-111111111111 {} {seconds}",
                ids[row], values[row]
            )
        });
        assert_eq!(rows(&data), wanted, "{user_type}, {rating_type}, {time_type}");
    }
}

#[test]
fn eight_parts_are_one_file() {
    let folder = folder("parquet-parts");
    let ratings: Vec<Rating> = (0..4_000)
        .map(|row: i64| {
            (
                format!("u{}", row * 7 % 311),
                format!("p{}", row * 11 % 97),
                (1 + row % 5) as f64,
                1_400_000_000 + row,
            )
        })
        .collect();
    std::fs::create_dir(folder.join("parts")).unwrap();
    std::fs::write(folder.join("parts/_SUCCESS"), "").unwrap();
    for (number, part) in ratings.chunks(500).enumerate() {
        let name = format!("parts/part-0000{number}-c000.snappy.parquet");
        std::fs::write(folder.join(name), parquet(part, Compression::SNAPPY)).unwrap();
    }
    std::fs::write(folder.join("one.parquet"), parquet(&ratings, Compression::SNAPPY)).unwrap();
    let [parts, one] = ["parts", "one.parquet"].map(|name| read_file(&folder.join(name), |_| {}));
    assert_eq!((parts.report.files, parts.report.rows_read), (8, 4_000));
    assert_eq!(rows(&parts), rows(&one));
    assert!(parts.users.ids().eq(one.users.ids()) && parts.items.ids().eq(one.items.ids()));
    let paths = [
        ("one.parquet", "one"),
        ("parts", "folder"),
        ("parts/part-*.parquet", "glob"),
    ];
    let models = paths.map(|(path, run)| crate::formats::model(&folder, path, run));
    assert!(models.iter().all(|model| *model == models[0]), "another model");
    std::fs::remove_dir_all(folder).unwrap();
}
