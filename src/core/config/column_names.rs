//! Column names as tables in the wild have them, each with the part of a rating that it stands for.
//!
//! Case, separators, an `id` at the end and RecBole's types (`user_id:token`) make no difference.

/// A part of a rating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    User,
    Product,
    Rating,
    Timestamp,
    /// How often a product was chosen.
    Count,
}

impl Role {
    /// Its key in `data.columns`.
    pub fn key(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Product => "product",
            Self::Rating => "rating",
            Self::Timestamp => "timestamp",
            Self::Count => "count",
        }
    }
}

/// Words for each role, the likelier first: of two columns for one role the one whose word stands first is meant.
const WORDS: [(Role, &[&str]); 5] = [
    (
        Role::User,
        &[
            "user",
            "uid",
            "customer",
            "reviewer",
            "client",
            "profile",
            "account",
            "member",
            "buyer",
            "visitor",
            "shopper",
            "consumer",
            "subscriber",
            "person",
            "reader",
            "listener",
            "player",
            "username",
            "nickname",
            "session",
        ],
    ),
    (
        Role::Product,
        &[
            "parentasin",
            "asin",
            "product",
            "item",
            "iid",
            "movie",
            "book",
            "business",
            "track",
            "song",
            "sku",
            "article",
            "anime",
            "stockcode",
            "isbn",
            "film",
            "video",
            "game",
            "app",
            "recipe",
            "restaurant",
            "hotel",
            "beer",
            "course",
            "listing",
            "joke",
            "album",
            "artist",
            "good",
        ],
    ),
    (
        Role::Rating,
        &[
            "rating", "ratings", "stars", "star", "score", "overall", "grade", "rate",
        ],
    ),
    (
        Role::Timestamp,
        &[
            "timestamp",
            "unixreviewtime",
            "unixtimestamp",
            "unixtime",
            "time",
            "datetime",
            "date",
            "ts",
            "when",
            "ratedat",
            "createdat",
            "eventtime",
            "reviewtimestamp",
            "ratingtimestamp",
            "reviewdate",
            "ratingdate",
            "orderdate",
            "purchasedate",
            "invoicedate",
            "dateadded",
            "addedat",
        ],
    ),
    (
        Role::Count,
        &[
            "count",
            "quantity",
            "qty",
            "plays",
            "playcount",
            "listens",
            "listencount",
            "scrobbles",
            "clicks",
            "views",
            "purchases",
            "units",
            "frequency",
            "weight",
        ],
    ),
];

/// What stands before `rating`, `stars` or `score` without changing what it is; `average_rating` and `num_stars` are no ratings.
const RATING_OWNERS: [&str; 5] = ["my", "review", "overall", "star", "given"];

/// What a name stands for, and how unlikely that is (for comparing two names of one role); `None` if it is not known.
pub fn role_of(name: &str) -> Option<(Role, usize)> {
    let plain = plain(name);
    let of_word = |plain: &str| {
        WORDS.iter().find_map(|(role, words)| {
            let place = words.iter().position(|word| *word == plain)?;
            Some((*role, 2 * place))
        })
    };
    let is_id = |role: Role| matches!(role, Role::User | Role::Product);
    if let Some((role, rank)) = of_word(&plain) {
        // Beside `user_id`, `user` is rather a name.
        return Some((role, rank + usize::from(is_id(role))));
    }
    let stem = plain.strip_suffix("id").or_else(|| plain.strip_suffix("code"));
    if let Some((role, rank)) = stem.and_then(of_word).filter(|(role, _)| is_id(*role)) {
        return Some((role, rank));
    }
    let owner = ["rating", "stars", "score"]
        .iter()
        .find_map(|word| plain.strip_suffix(word))?;
    let is_own = RATING_OWNERS.contains(&owner) || of_word(owner).is_some_and(|(role, _)| is_id(role));
    is_own.then_some((Role::Rating, 100))
}

/// Whether a name says that its column holds something else than ratings, whatever its values look like.
pub fn is_no_rating(name: &str) -> bool {
    let plain = plain(name);
    let ends = [
        "price", "cost", "age", "year", "month", "day", "hour", "votes", "discount", "gender", "verified",
    ];
    ends.iter()
        .any(|word| plain == *word || name.to_lowercase().ends_with(&format!("_{word}")))
        || plain.ends_with("price")
}

/// Whether a name says that its column holds kinds of rows, such as views and purchases.
pub fn is_kind(name: &str) -> bool {
    let kinds = [
        "event",
        "eventtype",
        "behavior",
        "behaviour",
        "behaviortype",
        "action",
        "actiontype",
        "sentiment",
    ];
    kinds.contains(&plain(name).as_str())
}

/// Whether a name is that of row numbers, as pandas and databases write them.
pub fn is_row_number(name: &str) -> bool {
    let plain = plain(name);
    plain.is_empty()
        || ["id", "index", "row", "rowid", "rownumber"].contains(&plain.as_str())
        || plain.starts_with("unnamed")
}

/// Lower-case letters and digits alone, without RecBole's type.
fn plain(name: &str) -> String {
    let name = match name.rsplit_once(':') {
        Some((name, "token" | "float" | "token_seq" | "float_seq")) => name,
        _ => name,
    };
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_wild_are_known_and_others_are_not() {
        let role = |name: &str| role_of(name).map(|(role, _)| role);
        for name in [
            "userId",
            "User-ID",
            "user_id:token",
            "CUSTOMER",
            "reviewerID",
            "profile_id",
            "account id",
            "username",
        ] {
            assert_eq!(role(name), Some(Role::User), "{name}");
        }
        for name in [
            "ProductId",
            "item_id:token",
            "movieId",
            "book_id",
            "ISBN",
            "asin",
            "parent_asin",
            "business_id",
            "StockCode",
        ] {
            assert_eq!(role(name), Some(Role::Product), "{name}");
        }
        for name in [
            "rating:float",
            "stars",
            "Score",
            "overall",
            "Book-Rating",
            "my_score",
            "review_score",
        ] {
            assert_eq!(role(name), Some(Role::Rating), "{name}");
        }
        for name in ["timestamp:float", "unixReviewTime", "Time", "InvoiceDate"] {
            assert_eq!(role(name), Some(Role::Timestamp), "{name}");
        }
        assert_eq!(
            (role("Quantity"), role("play_count")),
            (Some(Role::Count), Some(Role::Count))
        );
        for name in [
            "",
            "id",
            "ProfileName",
            "average_rating",
            "num_stars",
            "title",
            "reviewTime",
            "is_read",
            "HelpfulnessNumerator",
        ] {
            assert_eq!(role(name), None, "{name}");
        }
        assert!(role_of("parent_asin").unwrap().1 < role_of("asin").unwrap().1);
        assert!(role_of("user_id").unwrap().1 < role_of("user").unwrap().1);
        assert!(is_row_number("Unnamed: 0") && is_row_number("") && !is_row_number("user"));
    }
}
