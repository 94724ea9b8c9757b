//! What looks wrong with ids once all are known: lost zeros, ids that look alike, users that look like products.

use super::report::{LookAlikes, LostZeros};
use super::vocabulary::Vocabulary;
use crate::common::interaction::{DenseIndex, ItemIndex, UserIndex};
use crate::config::column_names::{Role, role_of};
use xxhash_rust::xxh3::xxh3_64;

/// Shortest usual length that lost zeros are looked for at; shorter ids are mere numbers.
const MIN_USUAL_LENGTH: usize = 6;

/// Finds all-digit ids that are shorter than most ids, where no id begins with a zero.
///
/// A table that counts its users from 1 has short ids too: numbers that fill their range are left alone.
pub fn lost_zeros(side: &str, ids: &Vocabulary<impl DenseIndex>) -> Option<LostZeros> {
    let mut lengths = std::collections::BTreeMap::<usize, usize>::new();
    let mut largest = 0.0f64;
    let mut all_digits = true;
    for id in ids.ids() {
        if id.starts_with('0') {
            return None;
        }
        *lengths.entry(id.len()).or_default() += 1;
        match id.bytes().all(|byte| byte.is_ascii_digit()) {
            true => largest = largest.max(id.parse().unwrap_or(0.0)),
            false => all_digits = false,
        }
    }
    let (&usual_length, &usual) = lengths.iter().max_by_key(|(_, count)| **count)?;
    let counts_up = all_digits && largest < 20.0 * ids.len() as f64;
    if usual * 2 <= ids.len() || usual_length < MIN_USUAL_LENGTH || counts_up {
        return None;
    }
    let is_short = |id: &&str| {
        (usual_length.saturating_sub(3)..usual_length).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_digit())
    };
    let count = ids.ids().filter(is_short).count();
    let example = ids.ids().find(is_short)?.to_string();
    Some(LostZeros {
        side: side.to_string(),
        count,
        example,
        usual_length,
    })
}

/// Finds ids that differ in capitals, spaces at their ends or a `.0` alone, as people and spreadsheets change them.
pub fn look_alikes<Index: DenseIndex>(side: &str, ids: &Vocabulary<Index>) -> Option<LookAlikes> {
    // Ids without such differences cannot look alike, and most tables have none; millions of ids are told at once.
    let text = ids.text();
    let mixes_case = text.iter().any(u8::is_ascii_lowercase) && text.iter().any(u8::is_ascii_uppercase);
    let may_be_odd = text.iter().any(|byte| *byte <= b' ' || *byte == b'.' || *byte >= 0x80);
    let is_odd = may_be_odd && ids.ids().any(|id| plain(id).len() < id.len());
    if !mixes_case && !is_odd {
        return None;
    }
    let hash = |id: &str| xxh3_64(plain(id).to_ascii_lowercase().as_bytes());
    let mut hashes: Vec<(u64, Index)> = ids.ids().map(hash).zip((0..).map(Index::new)).collect();
    hashes.sort_unstable();
    let alike = || {
        let groups = hashes.chunk_by(|a, b| a.0 == b.0);
        groups.filter(|group| group.len() > 1)
    };
    let first = alike().min_by_key(|group| group[0].1)?;
    Some(LookAlikes {
        side: side.to_string(),
        count: alike().map(<[_]>::len).sum(),
        example: [ids.id(first[0].1).to_string(), ids.id(first[1].1).to_string()],
    })
}

/// An id without spaces at its ends and without the `.0` of a number.
fn plain(id: &str) -> &str {
    let id = id.trim();
    let whole = id
        .strip_suffix(".0")
        .filter(|whole| !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit()));
    whole.unwrap_or(id)
}

/// What programs have done to ids, if they have: rounded them, quoted them, or made them fractions.
pub fn changed(side: &str, ids: &Vocabulary<impl DenseIndex>) -> Option<String> {
    let is_rounded = |id: &&str| {
        let parts = id
            .split_once(['E', 'e'])
            .map(|(number, power)| (number, power.strip_prefix('+')));
        matches!(parts, Some((number, Some(power))) if number.contains(['.', ',']) && is_digits(power)
            && number.split(['.', ',']).all(is_digits))
    };
    let has_sign = memchr::memchr(b'+', ids.text()).is_some();
    if let Some(example) = ids.ids().find(is_rounded).filter(|_| has_sign) {
        let count = ids.ids().filter(is_rounded).count();
        return Some(format!(
            "{count} {side} ids such as `{example}` are numbers that a spreadsheet has rounded, and several of them may have become \
             one: write the table again with ids as text"
        ));
    }
    let looked_at = ids.len().min(LOOKED_AT);
    let mostly =
        |is_like: &dyn Fn(&str) -> bool| 2 * ids.ids().take(looked_at).filter(|id| is_like(id)).count() > looked_at;
    let is_quoted = |id: &str| id.len() > 2 && id.starts_with('\'') && id.ends_with('\'');
    let is_formula = |id: &str| id.starts_with("=\"") && id.ends_with('"');
    let is_fraction = |id: &str| id.strip_suffix(".0").is_some_and(is_digits);
    let example = ids.ids().next()?;
    match () {
        () if mostly(&is_quoted) => Some(format!(
            "{side} ids such as `{example}` keep the quotes around them: `data.quote = \"'\"` takes them off"
        )),
        () if mostly(&is_formula) => Some(format!(
            "{side} ids such as `{example}` are formulas of a spreadsheet, kept as they stand: `sed 's/=\"\\([^\"]*\\)\"/\\1/g' FILE` \
             leaves the ids"
        )),
        () if mostly(&is_fraction) => Some(format!(
            "{side} ids such as `{example}` keep their `.0`, as pandas writes whole numbers beside missing ones: ask for them so, or \
             write the table with whole numbers"
        )),
        () => None,
    }
}

/// The user whose id says that it is nobody, if many rows are said to be theirs: they are many people.
pub fn nobody(users: &Vocabulary<UserIndex>, rows: &[UserIndex]) -> Option<String> {
    const NOBODY: [&str; 14] = [
        "anonymous",
        "anon",
        "guest",
        "unknown",
        "undefined",
        "none",
        "nil",
        "deleted",
        "[deleted]",
        "-",
        "?",
        "0",
        "-1",
        "missing",
    ];
    /// Of the rows of a user on the average.
    const MANY: usize = 5;
    let is_nobody = |id: &str| id.len() <= 9 && NOBODY.contains(&id.to_ascii_lowercase().as_str());
    let numbered = users.ids().zip((0..).map(UserIndex));
    numbered.filter(|(id, _)| is_nobody(id)).find_map(|(id, user)| {
        let own = rows.iter().filter(|row| **row == user).count();
        (own > MANY && own * users.len() > MANY * rows.len()).then(|| {
            format!(
                "user `{id}` has {own} rows of {}: if that is not one person, leave it out, with `{id}` in `data.missing_ids` and \
                 `data.max_bad_rows` raised",
                rows.len()
            )
        })
    })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Ids that are looked at for what they look like.
const LOOKED_AT: usize = 1_000;

/// Why users look like products and products do not, if so: the columns may stand the other way round.
pub fn swapped(users: &Vocabulary<UserIndex>, items: &Vocabulary<ItemIndex>) -> Option<String> {
    fn share(ids: &Vocabulary<impl DenseIndex>, is_like: &dyn Fn(&str) -> bool) -> f64 {
        let looked_at = ids.len().min(LOOKED_AT);
        let like = ids.ids().take(looked_at).filter(|id| is_like(id)).count();
        like as f64 / looked_at.max(1) as f64
    }
    fn mostly(ids: &Vocabulary<impl DenseIndex>, is_like: &dyn Fn(&str) -> bool) -> bool {
        share(ids, is_like) > 0.5
    }
    fn hardly(ids: &Vocabulary<impl DenseIndex>, is_like: &dyn Fn(&str) -> bool) -> bool {
        share(ids, is_like) < 0.1
    }
    let is_role = |role: Role| move |id: &str| word_role(id) == Some(role);
    let found = match () {
        () if mostly(users, &is_asin) && hardly(items, &is_asin) => "are product numbers of Amazon",
        () if mostly(items, &is_amazon_user) && hardly(users, &is_amazon_user) => {
            "are none of Amazon's, and products are"
        }
        () if mostly(users, &is_role(Role::Product)) && hardly(items, &is_role(Role::Product)) => {
            "begin with a word for products"
        }
        () if mostly(items, &is_role(Role::User)) && hardly(users, &is_role(Role::User)) => {
            "do not begin with a word for users, and products do"
        }
        () => return None,
    };
    let example = users.ids().next().unwrap_or_default();
    Some(format!(
        "user ids such as `{example}` {found}: if product and user stand the other way round, set `data.columns` to \
         `{{ user = 1, product = 0, rating = 2, timestamp = 3 }}`"
    ))
}

/// Ten characters: `B` and nine letters or digits, or an ISBN.
fn is_asin(id: &str) -> bool {
    let is_sign = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    is_isbn(id) || id.len() == 10 && id.starts_with("B0") && id.bytes().all(is_sign)
}

/// Ten digits, or nine and an `X`, whose weighted sum is a multiple of 11: a second of this century is ten digits as well.
fn is_isbn(id: &str) -> bool {
    let digit = |(place, byte): (usize, u8)| match byte {
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        b'X' if place == 9 => Some(10),
        _ => None,
    };
    let digits: Option<Vec<u32>> = id.bytes().enumerate().map(digit).collect();
    digits.is_some_and(|digits| {
        let sum: u32 = digits.iter().rev().zip(1..).map(|(digit, weight)| digit * weight).sum();
        digits.len() == 10 && sum.is_multiple_of(11)
    })
}

/// `A` and 9 to 20 capital letters or digits.
fn is_amazon_user(id: &str) -> bool {
    id.starts_with('A')
        && (10..=21).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

/// What the word in front of a number stands for, as in `item_12`.
fn word_role(id: &str) -> Option<Role> {
    let word = id.trim_end_matches(|c: char| !c.is_alphabetic());
    (word.len() < id.len() && word.len() > 2)
        .then(|| role_of(word))?
        .map(|(role, _)| role)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary<Index: DenseIndex>(ids: &[&str]) -> Vocabulary<Index> {
        let mut vocabulary = Vocabulary::default();
        ids.iter().for_each(|id| {
            vocabulary.intern(id);
        });
        vocabulary
    }

    fn lost(ids: &[&str]) -> Option<(usize, String)> {
        lost_zeros("product", &vocabulary::<ItemIndex>(ids)).map(|lost| (lost.count, lost.example))
    }

    #[test]
    fn short_numbers_among_long_ids_have_lost_their_zeros() {
        assert_eq!(
            lost(&["B00004SB92", "132793040", "B000068O48", "B00005T3X7"]),
            Some((1, "132793040".into()))
        );
        assert_eq!(lost(&["B00004SB92", "0132793040", "B000068O48", "132793040"]), None);
        assert_eq!(
            lost(&["8801643", "4006381333931", "4006381333932", "400638133393"]),
            None,
            "no length prevails"
        );
        assert_eq!(
            lost(&["4006381333930", "4006381333931", "4006381333932", "400638133393"]),
            Some((1, "400638133393".into()))
        );
        let counted: Vec<String> = (95_000..200_000).map(|id| id.to_string()).collect();
        let counted: Vec<&str> = counted.iter().map(String::as_str).collect();
        assert_eq!(lost(&counted), None, "numbers that fill their range");
    }

    #[test]
    fn ids_that_differ_in_spelling_alone_look_alike() {
        let alike =
            |ids: &[&str]| look_alikes("user", &vocabulary::<UserIndex>(ids)).map(|found| (found.count, found.example));
        let example = |a: &str, b: &str| [a.to_string(), b.to_string()];
        assert_eq!(alike(&["A1", "B", "a1", "A1 "]), Some((3, example("A1", "a1"))));
        assert_eq!(alike(&["2", "1", "1.0"]), Some((2, example("1", "1.0"))));
        assert_eq!(alike(&["1.0", "2.0"]), None);
        assert_eq!(alike(&["A1", "A2", "v1.0", "v1"]), None);
    }

    #[test]
    fn users_that_look_like_products_are_noticed() {
        let amazon = (
            ["B00025ABC7", "0132793040", "B000NZZZZZ"],
            ["A046TEST00001", "A2CX7LUOHB2NDG"],
        );
        let reason = swapped(&vocabulary(&amazon.0), &vocabulary(&amazon.1)).unwrap();
        assert!(
            reason.starts_with("user ids such as `B00025ABC7` are product numbers"),
            "{reason}"
        );
        assert_eq!(swapped(&vocabulary(&amazon.1), &vocabulary(&amazon.0)), None);
        assert!(swapped(&vocabulary(&["item_1", "item_2"]), &vocabulary(&["u1", "u2"])).is_some());
        assert!(swapped(&vocabulary(&["x1"]), &vocabulary(&["user-7", "user-8"])).is_some());
        assert_eq!(swapped(&vocabulary(&["user_1"]), &vocabulary(&["item_1"])), None);
        assert_eq!(swapped(&vocabulary(&["1", "2"]), &vocabulary(&["1", "7"])), None);
        let seconds = vocabulary(&["1417505051", "1463626388", "1401767377"]);
        assert_eq!(swapped(&seconds, &vocabulary(&["1", "7"])), None);
    }

    #[test]
    fn a_user_who_is_nobody_is_noticed_if_many_rows_are_theirs() {
        let ids: Vec<String> = (0..50)
            .map(|user| format!("u{user}"))
            .chain(["Guest".to_string()])
            .collect();
        let users = vocabulary(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        let each: Vec<UserIndex> = (0..51).map(UserIndex).collect();
        assert_eq!(nobody(&users, &each), None);
        let many: Vec<UserIndex> = each.iter().copied().chain([UserIndex(50); 20]).collect();
        assert!(
            nobody(&users, &many)
                .unwrap()
                .starts_with("user `Guest` has 21 rows of 71")
        );
    }

    #[test]
    fn ids_that_a_program_has_changed_are_noticed() {
        let said = |ids: &[&str]| changed("user", &vocabulary::<UserIndex>(ids)).unwrap_or_default();
        assert!(
            said(&["A1", "1.23457E+15", "9,8e+12", "7"]).starts_with("2 user ids such as `1.23457E+15` are numbers")
        );
        assert!(said(&["'15'", "'23'"]).ends_with("`data.quote = \"'\"` takes them off"));
        assert!(said(&["=\"0015\"", "=\"0023\""]).contains("formulas of a spreadsheet"));
        assert!(said(&["15.0", "23.0"]).starts_with("user ids such as `15.0` keep their `.0`"));
        for ids in [
            ["1E5", "2E+5"],
            ["a'b", "'"],
            ["v1.0", "1.0.0"],
            ["1.2E+x", "x.2E+5"],
            ["15.0", "x"],
        ] {
            assert_eq!(said(&ids), "", "{ids:?}");
        }
    }
}
