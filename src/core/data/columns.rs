//! Which column is what: by the config, else by its name, else by its usual place (user, product, rating, timestamp).
//!
//! A guess is made only where one reading is left; where there are two the run stops and asks. What was chosen is reported.

use super::check::{Moment, number_of_words, read_time};
use super::fault::{IngestError, shorten};
use super::readers::Field;
use super::report::TimeUnit;
use super::usual_scales::may_be_slips;
use crate::common::interaction::RatingScale;
use crate::config::column_names::{Role, is_kind, is_no_rating, is_row_number, role_of};
use crate::config::{Column, Columns, DataConfig, Decimal};
use std::path::Path;

/// What the third field of a row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    Ratings,
    /// How often a product was chosen.
    Counts,
    /// Nothing: the row itself says that a product was chosen.
    Choices,
}

/// What a table shows before it is read.
#[derive(Debug)]
pub struct Sample {
    /// Names of the columns, if it has any.
    pub names: Option<Vec<String>>,
    /// Number of columns.
    pub width: usize,
    /// Its first rows as text; `None` is a missing value.
    pub rows: Vec<Vec<Option<String>>>,
    /// Columns stand in an order, so that a place may mean something; keys of JSON do not.
    pub in_order: bool,
}

/// Where the fields of a row stand, and what there is to say of it.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// User, product, rating or count, timestamp.
    pub columns: [Option<usize>; 4],
    pub values: Values,
    /// Choices that the user should hear of.
    pub warnings: Vec<String>,
    /// The user or the product was found by its place alone.
    pub by_place: bool,
    /// What could be wrong with the rating column, for the hint of an error in it.
    pub suspicion: Option<String>,
}

/// Smallest timestamp in seconds that is believed of a column whose name says nothing: March 1973.
const PLAUSIBLE_SECONDS: i64 = 100_000_000;

/// Finds the columns of a table.
///
/// Errors if a column is not there, if a number contradicts a name that is known, or if it cannot be told which column is meant.
pub fn choose(path: &Path, config: &DataConfig, sample: &Sample) -> Result<Chosen, IngestError> {
    Choosing {
        path,
        config: &config.columns,
        scale: config.rating_scale,
        decimal: config.decimal,
        roles: match &sample.names {
            Some(names) => names.iter().map(|name| role_of(name)).collect(),
            None => vec![None; sample.width],
        },
        sample,
        taken: Vec::new(),
        warnings: Vec::new(),
    }
    .choose()
}

struct Choosing<'a> {
    path: &'a Path,
    config: &'a Columns,
    scale: RatingScale,
    decimal: Decimal,
    sample: &'a Sample,
    /// What each name stands for.
    roles: Vec<Option<(Role, usize)>>,
    taken: Vec<usize>,
    warnings: Vec<String>,
}

impl Choosing<'_> {
    fn choose(mut self) -> Result<Chosen, IngestError> {
        let columns = self.config;
        let is_asked = [&columns.user, &columns.product, &columns.rating]
            .iter()
            .any(|column| **column != Column::Auto);
        if let Some(columns) = self.matrix().filter(|_| !is_asked && self.sample.in_order)
            && self.best(Role::Product).is_none()
        {
            return Err(IngestError::Matrix {
                path: self.path.to_path_buf(),
                columns,
                has_header: self.sample.names.is_some(),
            });
        }
        let is_auto = |column: &Column| match column {
            Column::Auto => true,
            Column::Number(_) => !self.sample.in_order,
            Column::Name(_) => false,
        };
        let (auto_rating, auto_time) = (is_auto(&columns.rating), is_auto(&columns.timestamp));
        let mut user = self.given(&columns.user, Role::User)?;
        let mut product = self.given(&columns.product, Role::Product)?;
        let mut rating = self.given(&columns.rating, Role::Rating)?;
        let mut timestamp = self.given(&columns.timestamp, Role::Timestamp)?;
        let count = self.given(&columns.count, Role::Count)?;
        let wants_rating = auto_rating && count.is_none();

        let is_named = |column: &Column| matches!(column, Column::Name(_));
        let ids_are_given = is_named(&columns.user) && is_named(&columns.product);
        user = user.or_else(|| self.named(Role::User));
        product = product.or_else(|| self.named(Role::Product));
        rating = rating.or_else(|| wants_rating.then(|| self.named(Role::Rating)).flatten());
        if auto_time {
            timestamp = self.named(Role::Timestamp);
        }
        let ids_are_named = ids_are_given || (self.sample.names.is_some() && user.is_some() && product.is_some());
        let nothing_is_known = self.sample.in_order && self.roles.iter().all(Option::is_none);
        let by_place = user.is_none() || product.is_none();
        if by_place {
            (user, product) = self.ids_by_place(user, product, nothing_is_known)?;
        }

        // What was named by its user inherits nothing; what stands where it usually does may.
        let usual = [(&columns.user, 0), (&columns.product, 1), (&columns.rating, 2)];
        let is_usual = usual.iter().all(|(column, place)| match column {
            Column::Auto => true,
            Column::Number(number) => number == place,
            Column::Name(_) => false,
        });
        let mut values = match (&columns.rating, count) {
            (_, Some(_)) => Values::Counts,
            (rating, None) if rating.is_none() => Values::Choices,
            _ => Values::Ratings,
        };
        if values == Values::Ratings && rating.is_none() {
            rating = self.rating_by_place(ids_are_named, nothing_is_known, is_usual)?;
            if rating.is_none() {
                values = Values::Choices;
                self.say_choices();
            }
        }
        if let Some(column) = timestamp.filter(|_| auto_time)
            && !self.is_time(column, 0)
        {
            self.say_no_time(column);
            timestamp = None;
        }
        if timestamp.is_none() && auto_time && is_usual {
            timestamp = self.time_by_place(nothing_is_known);
        }
        self.say_same_names([user, product, rating, timestamp]);
        let third = count.or(rating).filter(|_| values != Values::Choices);
        Ok(Chosen {
            columns: [user, product, third, timestamp],
            values,
            suspicion: third
                .filter(|_| values == Values::Ratings)
                .and_then(|rating| self.suspicion(rating)),
            warnings: self.warnings,
            by_place: by_place && !ids_are_given,
        })
    }

    /// The column that the config gives, if it does.
    fn given(&mut self, column: &Column, role: Role) -> Result<Option<usize>, IngestError> {
        let found = match column {
            Column::Auto => return Ok(None),
            Column::Name(name) if name.is_empty() => return Ok(None),
            Column::Name(name) => {
                let mut names = self.sample.names.iter().flatten();
                names.position(|present| present.trim() == name)
            }
            // Keys of JSON have no numbers.
            Column::Number(_) if !self.sample.in_order => return Ok(None),
            Column::Number(number) => Some(*number).filter(|number| *number < self.sample.width),
        };
        let Some(found) = found else {
            let may_be_absent = role == Role::Timestamp && matches!(column, Column::Number(_));
            return if may_be_absent {
                Ok(None)
            } else {
                Err(self.absent(column, role))
            };
        };
        let other = self.roles[found].map(|(other, _)| other).filter(|other| {
            let are_values = |role: Role| matches!(role, Role::Rating | Role::Count);
            *other != role && !(are_values(*other) && are_values(role))
        });
        if let (Column::Number(number), Some(other), Some(names)) = (column, other, &self.sample.names) {
            return Err(IngestError::Contradiction {
                path: self.path.to_path_buf(),
                key: role.key(),
                number: *number,
                name: shorten(names[found].trim()),
                other: other.key(),
                instead: self.best(role).map(|column| names[column].trim().to_string()),
            });
        }
        self.taken.push(found);
        Ok(Some(found))
    }

    /// The likeliest column of a role.
    fn best(&self, role: Role) -> Option<usize> {
        let of_role = self.roles.iter().enumerate().filter_map(|(column, found)| {
            let (found, rank) = (*found)?;
            (found == role && !self.taken.contains(&column)).then_some((rank, column))
        });
        of_role.min().map(|(_, column)| column)
    }

    fn named(&mut self, role: Role) -> Option<usize> {
        let column = self.best(role)?;
        self.taken.push(column);
        Some(column)
    }

    /// Columns that nothing is known of yet.
    fn open_columns(&self) -> Vec<usize> {
        (0..self.sample.width).filter(|column| self.is_open(*column)).collect()
    }

    fn is_open(&self, column: usize) -> bool {
        let is_numbering = |names: &Vec<String>| names.get(column).is_some_and(|name| is_row_number(name));
        column < self.sample.width
            && !self.taken.contains(&column)
            && self.roles.get(column).copied().flatten().is_none()
            && !self.sample.names.as_ref().is_some_and(is_numbering)
    }

    /// User and product where their names are not known.
    fn ids_by_place(
        &mut self,
        user: Option<usize>,
        product: Option<usize>,
        nothing_is_known: bool,
    ) -> Result<(Option<usize>, Option<usize>), IngestError> {
        let open = self.open_columns();
        let places: Vec<usize> = [(user, 0), (product, 1)]
            .iter()
            .filter(|(found, _)| found.is_none())
            .map(|(_, place)| *place)
            .collect();
        let usual_are_free = places.iter().all(|place| match nothing_is_known {
            true => *place < self.sample.width && !self.taken.contains(place),
            false => self.sample.in_order && open.contains(place),
        });
        let found = match () {
            // Where one of two is known by name, the other's usual place means nothing.
            () if usual_are_free && (places.len() == 2 || nothing_is_known) => places,
            () if open.len() == places.len() => open,
            () => {
                let role = if user.is_none() { Role::User } else { Role::Product };
                return Err(self.unclear(role, &open));
            }
        };
        let mut found = found.into_iter();
        let user = user.or_else(|| found.next());
        let product = product.or_else(|| found.next());
        self.taken.extend(user.into_iter().chain(product));
        Ok((user, product))
    }

    /// The rating where no name is known; `None` if this is a table of choices.
    fn rating_by_place(
        &mut self,
        ids_are_named: bool,
        nothing_is_known: bool,
        is_usual: bool,
    ) -> Result<Option<usize>, IngestError> {
        const PLACE: usize = 2;
        let found = match () {
            () if self.sample.names.is_none() || (nothing_is_known && is_usual) => {
                Some(PLACE).filter(|place| *place < self.sample.width && !self.taken.contains(place))
            }
            () => {
                let open = self.open_columns();
                let candidates: Vec<usize> = open.into_iter().filter(|column| self.may_be_rating(*column)).collect();
                match candidates.as_slice() {
                    [] if ids_are_named => return Ok(None),
                    [one] if self.looks_like_ratings(*one) => Some(*one),
                    _ => return Err(self.unclear(Role::Rating, &candidates)),
                }
            }
        };
        match found {
            Some(column) => {
                self.taken.push(column);
                Ok(Some(column))
            }
            None => Err(self.unclear(Role::Rating, &[])),
        }
    }

    fn time_by_place(&mut self, nothing_is_known: bool) -> Option<usize> {
        const PLACE: usize = 3;
        let is_free = match self.sample.names.is_none() || nothing_is_known {
            true => PLACE < self.sample.width && !self.taken.contains(&PLACE),
            false => self.sample.in_order && self.is_open(PLACE),
        };
        // A header whose name says nothing of time needs numbers that do.
        let least = if self.sample.names.is_some() {
            PLAUSIBLE_SECONDS
        } else {
            0
        };
        match is_free {
            false => None,
            true if self.is_time(PLACE, least) => Some(PLACE),
            true => {
                self.say_no_time(PLACE);
                None
            }
        }
    }

    fn values(&self, column: usize) -> impl Iterator<Item = &str> {
        let rows = self.sample.rows.iter();
        rows.filter_map(move |row| row.get(column)?.as_deref())
            .filter(|text| !text.trim().is_empty())
    }

    /// Whether most values are times, from `least` seconds on or 0. A column without values is believed.
    fn is_time(&self, column: usize, least: i64) -> bool {
        let (mut times, mut all) = (0, 0);
        for text in self.values(column) {
            all += 1;
            let seconds = match read_time(&Field::Text(text.as_bytes())) {
                Ok(Some(Moment::Seconds(seconds))) => Some(seconds),
                Ok(Some(Moment::Number(number))) => TimeUnit::of(number).map(|unit| number / unit.ticks()),
                _ => None,
            };
            times += usize::from(seconds.is_some_and(|seconds| seconds >= least || seconds == 0 && least == 0));
        }
        times * 2 >= all
    }

    fn numbers(&self, column: usize) -> Option<Vec<f32>> {
        let decimal = self.decimal;
        let numbers: Option<Vec<f32>> = self
            .values(column)
            .map(|text| number_of_words(text.trim(), decimal, self.scale.max).filter(|value| value.is_finite()))
            .collect();
        numbers.filter(|numbers| !numbers.is_empty())
    }

    /// Few numbers in halves or quarters: a column that might say how much somebody liked something.
    fn may_be_rating(&self, column: usize) -> bool {
        let is_step = |value: f32| (4.0 * value).fract() == 0.0;
        let is_small = |value: f32| (-1.0..=10.0).contains(&value) || self.scale.contains(value);
        let is_something_else = |names: &Vec<String>| is_no_rating(&names[column]);
        !self.sample.names.as_ref().is_some_and(is_something_else)
            && self
                .numbers(column)
                .is_some_and(|numbers| numbers.iter().all(|value| is_step(*value) && is_small(*value)))
    }

    /// The same, and it fits the scale and is no flag.
    fn looks_like_ratings(&self, column: usize) -> bool {
        let numbers = self.numbers(column).unwrap_or_default();
        let is_flag = numbers.iter().all(|value| *value == 0.0 || *value == 1.0);
        let asks_for_flags = self.scale.min == 0.0 && self.scale.max == 1.0;
        let on_scale = numbers.iter().filter(|value| self.scale.contains(**value)).count();
        self.may_be_rating(column) && (!is_flag || asks_for_flags) && on_scale * 2 > numbers.len()
    }

    /// What makes one doubt that a column holds the ratings: another one looks more like them, or it counts.
    fn suspicion(&self, rating: usize) -> Option<String> {
        if self.looks_like_ratings(rating) {
            return None;
        }
        let others: Vec<usize> = (0..self.sample.width)
            .filter(|column| *column != rating && self.looks_like_ratings(*column))
            .filter(|column| self.roles[*column].is_none_or(|(role, _)| role == Role::Rating))
            .collect();
        if let [other] = others.as_slice() {
            let value = self.value_of(*other);
            let set = match (self.all_around(*other), &self.sample.names) {
                (Some(all), _) => all,
                (None, Some(_)) => format!("data.columns.rating = {value}"),
                (None, None) if *other < 2 => {
                    format!("data.columns = {{ user = ..., product = ..., rating = {value} }}")
                }
                (None, None) => format!(
                    "data.columns.rating = {value}`, and, if they are not columns 0 and 1, `data.columns.user` and `data.columns.product"
                ),
            };
            return Some(format!(
                "column {} does not look like ratings, column {} does: set `{set}`",
                self.words_of(rating),
                self.words_of(*other),
            ));
        }
        let Some(numbers) = self.numbers(rating) else {
            return self.no_numbers(rating);
        };
        if let Some(code) = self.lone_nines(&numbers) {
            return Some(format!(
                "{code} stands above all other ratings: if it means \"not rated\", set `data.unrated = [{code}]`"
            ));
        }
        let whole = numbers.iter().all(|value| value.fract() == 0.0);
        let counts_by_name = self.roles[rating].is_some_and(|(role, _)| role == Role::Count);
        let largest = numbers.iter().copied().fold(f32::MIN, f32::max);
        let above = numbers.iter().filter(|value| **value > self.scale.max).count();
        let counts_by_value = numbers.iter().all(|value| *value >= 1.0)
            && (10.0..100.0).contains(&largest)
            && largest != 10.0
            && !may_be_slips(above, numbers.len());
        if whole && (counts_by_name || counts_by_value) {
            return Some(format!(
                "column {} looks like counts, not like ratings: to learn from what was chosen, and how often, set \
                 `data.columns.rating = \"\"` and `data.columns.count = {}`",
                self.words_of(rating),
                self.value_of(rating),
            ));
        }
        let far = numbers.iter().filter(|value| value.abs() > 100.0).count();
        let may_count = whole && numbers.iter().all(|value| *value >= 0.0) && !self.is_time(rating, PLAUSIBLE_SECONDS);
        let or_counts = match may_count {
            true => format!(
                "; if it says how often something was chosen, set `data.columns.rating = \"\"` and `data.columns.count = {}`",
                self.value_of(rating)
            ),
            false => String::new(),
        };
        (far * 2 > numbers.len()).then(|| {
            format!(
                "column {} does not look like ratings: set `data.columns.rating` to the column that holds them{or_counts}",
                self.words_of(rating)
            )
        })
    }

    /// All columns of a table without names whose rating stands elsewhere than is usual: the other places are not usual then either.
    fn all_around(&self, rating: usize) -> Option<String> {
        if self.sample.names.is_some() {
            return None;
        }
        let others = || (0..self.sample.width).filter(|column| *column != rating);
        let times: Vec<usize> = others()
            .filter(|column| self.values(*column).next().is_some() && self.is_time(*column, PLAUSIBLE_SECONDS))
            .collect();
        let time = times.first().copied().filter(|_| times.len() == 1);
        let ids: Vec<usize> = others().filter(|column| Some(*column) != time).collect();
        let [user, product] = ids.as_slice() else {
            return None;
        };
        let time = time.map_or(String::new(), |time| format!(", timestamp = {time}"));
        Some(format!(
            "data.columns = {{ user = {user}, product = {product}, rating = {rating}{time} }}"
        ))
    }

    /// What to do about a column without a name in which not one value is a number.
    fn no_numbers(&self, rating: usize) -> Option<String> {
        let is_number = |text: &str| number_of_words(text.trim(), self.decimal, self.scale.max).is_some();
        let values: Vec<&str> = self.values(rating).collect();
        (self.sample.names.is_none() && values.len() > 1 && !values.iter().any(|text| is_number(text))).then(|| {
            format!(
                "column {rating} holds no numbers: set `data.columns.rating` to the column that holds ratings; `\"\"` reads each row \
                 as a choice"
            )
        })
    }

    /// The one value above the scale, if it is 99, 999 and so on, as surveys write what was not answered.
    fn lone_nines(&self, numbers: &[f32]) -> Option<f32> {
        let mut off = numbers.iter().copied().filter(|value| !self.scale.contains(*value));
        let first = off.next()?;
        let is_nines = [99.0, 999.0, 9_999.0, 99_999.0].contains(&first);
        (is_nines && off.all(|value| value == first) && numbers.iter().any(|value| *value != first)).then_some(first)
    }

    /// How many columns hold ratings, if it is so many that each seems to be a product.
    fn matrix(&self) -> Option<usize> {
        /// Tables with ratings of several kinds, such as of hotels, have fewer.
        const FEWEST: usize = 8;
        let is_open = |column: &usize| self.sample.names.is_none() || self.is_open(*column);
        let open: Vec<usize> = (0..self.sample.width).filter(is_open).collect();
        let hold = |column: &&usize| {
            let small = |numbers: Vec<f32>| numbers.iter().all(|value| (-10.0..=10.0).contains(value));
            // A product that nobody of the first rows has rated.
            self.values(**column).next().is_none() || self.numbers(**column).is_some_and(small)
        };
        let holding = open.iter().filter(hold).count();
        (holding >= FEWEST && holding + 1 >= open.len()).then_some(holding)
    }

    fn say_choices(&mut self) {
        let count = self.best(Role::Count).map(|column| {
            format!(
                "; column {} looks like counts: `data.columns.count = {}` weighs by them",
                self.words_of(column),
                self.value_of(column)
            )
        });
        let names = self.sample.names.iter().flatten();
        let kind = names.enumerate().find(|(_, name)| is_kind(name)).map(|(column, _)| {
            format!(
                "; column {} tells rows of several kinds apart, which count alike: leave out what was not liked",
                self.words_of(column)
            )
        });
        self.warnings.push(format!(
            "no column looks like ratings: each row is read as a choice of its product (`data.columns.rating` names one){}{}",
            count.unwrap_or_default(),
            kind.unwrap_or_default(),
        ));
    }

    fn say_same_names(&mut self, columns: [Option<usize>; 4]) {
        let Some(names) = &self.sample.names else {
            return;
        };
        for column in columns.into_iter().flatten() {
            let name = names[column].trim();
            if !name.is_empty() && names.iter().filter(|other| other.trim() == name).count() > 1 {
                self.warnings.push(format!(
                    "several columns are named `{}`: column {column} is read",
                    shorten(name)
                ));
            }
        }
    }

    fn say_no_time(&mut self, column: usize) {
        let example = self
            .values(column)
            .next()
            .map_or(String::new(), |text| format!(" such as `{}`", shorten(text)));
        self.warnings.push(format!(
            "column {} is not read as time: values{example} are no seconds since 1970 and no ISO dates",
            self.words_of(column)
        ));
    }

    /// A column as people call it.
    fn words_of(&self, column: usize) -> String {
        match &self.sample.names {
            Some(names) => format!("{column} `{}`", shorten(names[column].trim())),
            None => column.to_string(),
        }
    }

    /// A column as a config names it.
    fn value_of(&self, column: usize) -> String {
        match &self.sample.names {
            Some(names) => format!("\"{}\"", names[column].trim()),
            None => column.to_string(),
        }
    }

    fn present(&self) -> Vec<String> {
        match &self.sample.names {
            None => (0..self.sample.width).map(|number| number.to_string()).collect(),
            Some(names) => names.clone(),
        }
    }

    fn unclear(&self, role: Role, candidates: &[usize]) -> IngestError {
        let several: Vec<String> = candidates.iter().map(|column| self.words_of(*column)).collect();
        IngestError::Unclear {
            path: self.path.to_path_buf(),
            key: role.key(),
            present: list(&self.present()),
            candidates: several.join(" or "),
        }
    }

    fn absent(&self, column: &Column, role: Role) -> IngestError {
        no_column(
            self.path,
            &format!("columns.{}", role.key()),
            column,
            &self.present(),
            self.best(role),
        )
    }
}

/// The error of a column that is not there; `meant` is one that is likelier than any of a like name.
pub fn no_column(path: &Path, key: &str, column: &Column, present: &[String], meant: Option<usize>) -> IngestError {
    let name = match column {
        Column::Name(name) => name.clone(),
        Column::Number(number) => number.to_string(),
        Column::Auto => "auto".to_string(),
    };
    let likeness = |present: &String| strsim::jaro_winkler(&name.to_lowercase(), &present.to_lowercase());
    let nearest = present.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let nearest = nearest.filter(|nearest| likeness(nearest) > 0.6);
    let nearest = meant.and_then(|column| present.get(column)).or(nearest);
    IngestError::Column {
        path: path.to_path_buf(),
        key: key.to_string(),
        wanted: format!("`{name}`"),
        present: list(present),
        nearest: nearest.filter(|_| matches!(column, Column::Name(_))).cloned(),
    }
}

/// Names of columns, as an error lists them.
pub fn list(present: &[String]) -> String {
    let shown = present.iter().take(20).map(|name| format!("`{}`", shorten(name)));
    match present.is_empty() {
        true => "none".to_string(),
        false => shown.collect::<Vec<_>>().join(", "),
    }
}
