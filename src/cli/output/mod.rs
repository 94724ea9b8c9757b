//! The only printer. stdout is data (reports, rankings), stderr is talk. Rankings are in `ranking`, the end of a training in `summary`.
//!
//! Ids, titles, paths and arguments are text of others, so every line goes through [`visible`], whoever reads it. JSON is as
//! it is, and so is CSV that no terminal shows: there a program wants the very text.

pub mod bench;
mod comparison;
mod evaluation;
pub mod proof;
mod ranking;
mod summary;
pub mod sweep;

use dotcart::artifact::origin::{Answer, Origin};
use dotcart::common::calendar::date_of;
use dotcart::common::format::{count, mebibytes, percent};
use dotcart::common::hint::writing;
use dotcart::common::interaction::Part;
use dotcart::common::visible::visible;
use dotcart::config::defaults_for::Setting;
use dotcart::config::{Config, DeviceChoice, Duplicates, Positives};
use dotcart::data::report::{DataReport, TimeUnit};
use dotcart::engine::memory::MemoryNeed;
use dotcart::engine::open::{self, Opened};
use dotcart::flow::inspect::Inspection;
use dotcart::train::event::ClassCount;
use serde::Serialize;
use std::io::Write;

/// stdout and stderr. A closed pipe is no error: whoever reads has enough, and the command ends with 0.
#[derive(Debug, Default)]
pub struct Output {
    quiet: bool,
}

impl Output {
    /// The printer of this process.
    pub fn new() -> Self {
        Self::default()
    }

    /// No more talk but errors.
    pub fn hush(&mut self) {
        self.quiet = true;
    }

    /// A line of data.
    pub fn data(&mut self, line: &str) {
        self.data_as_it_is(&visible(line));
    }

    /// Lines of our own making, for a program.
    pub fn script(&mut self, text: &str) {
        self.data_as_it_is(text.trim_end());
    }

    fn data_as_it_is(&mut self, line: &str) {
        match writeln!(std::io::stdout().lock(), "{line}") {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
            Err(error) => {
                self.error(&format!("cannot write to stdout: {error}"), writing(&error));
                std::process::exit(1);
            }
        }
    }

    /// A line of talk.
    pub fn talk(&mut self, line: &str) {
        if !self.quiet {
            self.say(line);
        }
    }

    fn say(&mut self, line: &str) {
        // Nobody is left to hear that nobody listens.
        let _ = writeln!(std::io::stderr().lock(), "{}", visible(line));
    }

    /// A GPU that was found and is not used, if there is one.
    pub fn device(&mut self, choice: DeviceChoice) {
        // A device that was asked for and does not open is an error, which comes when it is needed.
        let warning = open::device(choice).ok().as_ref().and_then(Opened::warning);
        if let Some(warning) = warning {
            self.talk(&format!("warning: {warning}"));
        }
    }

    /// What went wrong without stopping anything; those are told who asked for quiet.
    pub fn warning(&mut self, message: &str) {
        self.say(&format!("warning: {message}"));
    }

    /// An error and what can be done about it.
    pub fn error(&mut self, message: &str, hint: &str) {
        self.say(&format!("error: {message}"));
        self.say("");
        self.say(&format!("hint: {hint}"));
    }

    /// What the command line should be: a help that was asked for, or what is wrong with the arguments.
    pub fn usage(&mut self, message: &clap::Error) {
        for line in message.render().to_string().lines() {
            match message.use_stderr() {
                true => self.say(line),
                false => self.data(line),
            }
        }
    }

    /// One JSON object on one line.
    pub fn json(&mut self, value: &impl Serialize) {
        self.data_as_it_is(&serde_json::to_string(value).expect("reports are JSON"));
    }

    /// An answer as one JSON object, with where it comes from as its first fields.
    pub fn json_answer(&mut self, origin: &Origin, answer: &impl Serialize) {
        self.json(&Answer { origin, answer });
    }

    /// Where an answer comes from, as its heading.
    pub fn origin(&mut self, origin: &Origin) {
        self.data(&format!(
            "run {}, of {}, completed {}",
            origin.run, origin.data, origin.completed
        ));
    }

    /// What was read, in short, and a block that cannot be overlooked if it was generated.
    pub fn data_report(&mut self, inspection: &Inspection, missing: &std::path::Path) {
        let report = &inspection.data;
        for line in generated_lines(report, missing).iter().chain(&data_lines(report)) {
            self.talk(line);
        }
        let classes: Vec<String> = report
            .histogram
            .iter()
            .take(MAX_CLASSES)
            .map(|(rating, rows)| format!("{rating}: {}", count(*rows)))
            .collect();
        let more = if report.histogram.len() > MAX_CLASSES {
            "   ..."
        } else {
            ""
        };
        self.talk(&format!("       ratings  {}{more}", classes.join("   ")));
        self.talk(&format!("       shape    {}", shape(report)));
        for part in inspection
            .parts
            .iter()
            .filter(|part| part.rows > 0 && part.part != Part::Train)
        {
            self.talk(&format!(
                "       {:<8} {} rows; {} users and {} products of them are not trained on ({} of the rows)",
                part.part.name(),
                count(part.rows),
                count(part.cold_users),
                count(part.cold_products),
                share(part.cold_rows, part.rows),
            ));
        }
        self.talk(&format!("       memory   {}", memory_line(&inspection.memory)));
    }

    /// What was chosen for a table that came without a config, and why.
    pub fn chosen(&mut self, config: &Config, settings: &[Setting], written: &std::path::Path) {
        let scale = config.data.rating_scale;
        let has_ratings = config.train.ranking.positives != Positives::Counted;
        if has_ratings {
            self.talk(&format!("       scale    {} to {}", scale.min, scale.max));
        }
        self.talk(&format!(
            "chosen for this table (`--set KEY=VALUE` chooses otherwise; all of it is in {})",
            written.display()
        ));
        for Setting { assignment, why } in settings {
            // A part of a table may be set, and of a table without ratings nothing about them holds.
            let (value, why) = match config.value_of(&assignment.key) {
                Some(value) if value != assignment.value && has_ratings => (value, "in part as it was set"),
                Some(value) if value != assignment.value => (value, "there are no ratings"),
                _ => (assignment.value.clone(), why.as_str()),
            };
            let set = format!("{} = {value}", assignment.key);
            self.talk(&format!("       {set:<42}  {why}"));
        }
    }

    /// All that `inspect` finds, as a page.
    pub fn inspection(&mut self, inspection: &Inspection, missing: &std::path::Path) {
        let report = &inspection.data;
        for line in generated_lines(report, missing).iter().chain(&data_lines(report)) {
            self.data(line);
        }
        self.data("");
        self.data(&format!("shape  {}", shape(report)));
        self.data("");
        self.data("ratings of the training split, and after oversampling (#: as they are, +: drawn again)");
        let largest = inspection
            .classes
            .iter()
            .map(|class| class.oversampled)
            .max()
            .unwrap_or(1)
            .max(1);
        for class in inspection.classes.iter().take(MAX_CLASSES) {
            let cells = |rows: usize| (rows * BAR_CELLS).div_ceil(largest);
            let natural = cells(class.natural);
            let added = cells(class.oversampled) - natural;
            let bar = "#".repeat(natural) + &"+".repeat(added);
            let grown = match class.natural == class.oversampled {
                true => String::new(),
                false => format!(" -> {}", count(class.oversampled)),
            };
            self.data(&format!(
                "  {:>5}  {bar:<BAR_CELLS$}  {:>10}{grown}",
                class.rating,
                count(class.natural)
            ));
        }
        if inspection.classes.len() > MAX_CLASSES {
            self.data(&format!("  and {} more values", inspection.classes.len() - MAX_CLASSES));
        }
        self.data("");
        self.data(
            "split        rows   cold users   cold products   rows with either   (cold: nothing of it is trained on)",
        );
        for part in &inspection.parts {
            self.data(&format!(
                "  {:<5} {:>9}   {:>10}   {:>13}   {:>16}",
                part.part.name(),
                count(part.rows),
                count(part.cold_users),
                count(part.cold_products),
                share(part.cold_rows, part.rows),
            ));
        }
        self.data("");
        self.data(&format!("memory  {}", memory_line(&inspection.memory)));
    }

    /// Users whom `leave-last-out` could not take a rating from.
    pub fn never_held_out(&mut self, never: usize, users: usize) {
        self.talk(&format!(
            "       split    {} of {} users have too few ratings to hold one out: all of theirs train",
            count(never),
            count(users),
        ));
    }

    /// The training split before and after oversampling.
    pub fn oversampling(&mut self, classes: &[ClassCount]) {
        if classes.iter().all(|class| class.natural == class.oversampled) {
            return;
        }
        let classes: Vec<String> = classes
            .iter()
            .map(|class| match class.natural == class.oversampled {
                true => format!("{}: {}", class.rating, count(class.natural)),
                false => format!(
                    "{}: {} -> {}",
                    class.rating,
                    count(class.natural),
                    count(class.oversampled)
                ),
            })
            .collect();
        self.talk(&format!("       train    {}", classes.join("   ")));
        self.talk("                (natural -> oversampled; valid and test stay natural)");
    }
}

/// What a training takes, all in all and in its parts.
pub fn memory_line(need: &MemoryNeed) -> String {
    let place = if need.tables_on_card { "on the card " } else { "" };
    let centres = match need.centres {
        0 => String::new(),
        bytes => format!("; finding centres before that {}", mebibytes(bytes)),
    };
    format!(
        "about {} at the most: tables and optimiser {place}{} (dim {}), ratings {}, steps {}; the model when judged {}{centres}",
        mebibytes(need.total()),
        mebibytes(need.tables),
        need.dim,
        mebibytes(need.ratings),
        mebibytes(need.steps),
        mebibytes(need.evaluation),
    )
}

/// Cells of a bar chart.
const BAR_CELLS: usize = 32;
/// Rating values that are shown; a mean of duplicates can make many.
const MAX_CLASSES: usize = 24;

fn generated_lines(report: &DataReport, missing: &std::path::Path) -> Vec<String> {
    if !report.generated {
        return Vec::new();
    }
    vec![
        String::new(),
        format!("  GENERATED RATINGS: there is no file `{}`,", missing.display()),
        format!(
            "  so dotcart made {} ratings of its own in the shape of Amazon Electronics,",
            count(report.rows_kept)
        ),
        "  with planted tastes. All figures below are about them and say nothing of real shoppers.".to_string(),
        "  The README says where the real file comes from.".to_string(),
        String::new(),
    ]
}

fn share(part: usize, whole: usize) -> String {
    percent(part as f64 / whole.max(1) as f64)
}

fn shape(report: &DataReport) -> String {
    format!(
        "{:.4} % of all pairs are rated; one rating only: {} of users, {} of products",
        100.0 * report.density,
        share(report.single_users, report.users),
        share(report.single_items, report.items),
    )
}

/// What was read and found, what was left out and why.
fn data_lines(report: &DataReport) -> Vec<String> {
    let found = &report.detected;
    let mut lines = vec![format!("data   {}", report.path.display())];
    lines.push(format!(
        "       {} rows read, {} kept; {} users, {} products{}",
        count(report.rows_read),
        count(report.rows_kept),
        count(report.users),
        count(report.items),
        if report.has_timestamps { "" } else { "; no timestamps" },
    ));
    let mut words = vec![found.format.clone()];
    words.extend(found.compression.clone());
    words.extend(
        found
            .delimiter
            .as_ref()
            .map(|delimiter| format!("delimiter {delimiter:?}")),
    );
    words.extend(
        found
            .header
            .map(|header| if header { "header" } else { "no header" }.to_string()),
    );
    let unit = report.time_unit.filter(|unit| *unit != TimeUnit::Seconds);
    words.extend(unit.map(|unit| format!("timestamps in {}", unit.name())));
    words.extend((report.files > 1).then(|| format!("{} files", count(report.files))));
    let columns: Vec<String> = found
        .columns
        .iter()
        .map(|(what, place)| format!("{what} {place}"))
        .collect();
    lines.push(format!(
        "       found {}; columns {}",
        words.join(", "),
        columns.join(", ")
    ));
    if !report.has_ratings {
        lines.push("       no ratings: each row is a choice, and rows of a user and product add up".to_string());
    }
    if let Some((first, last)) = report.time_range {
        lines.push(format!("       time {} to {}", date_of(first), date_of(last)));
    }
    for rows in &report.bad_rows {
        let number = |(place, line): (usize, &u64)| match rows.files.get(place) {
            Some(file) => format!("{}:{line}", file.display()),
            None => line.to_string(),
        };
        let numbers: Vec<String> = rows.lines.iter().enumerate().map(number).collect();
        let more = if rows.count > rows.lines.len() { ", ..." } else { "" };
        lines.push(format!(
            "       left out {} rows: {} ({} {}{more})",
            count(rows.count),
            rows.fault.describe(&rows.example),
            if found.is_parquet() { "rows" } else { "lines" },
            numbers.join(", "),
        ));
    }
    if report.outside_window > 0 {
        lines.push(format!(
            "       left out {} rows outside `data.since` and `data.until`",
            count(report.outside_window)
        ));
    }
    if report.unrated > 0 {
        lines.push(format!(
            "       left out {} rows that are not rated (`data.unrated`)",
            count(report.unrated)
        ));
    }
    let duplicates = &report.duplicates;
    if duplicates.pairs > 0 {
        let kept = match duplicates.policy {
            _ if !report.has_ratings => "their counts added up",
            Duplicates::Last => "the last one kept",
            Duplicates::First => "the first one kept",
            Duplicates::Mean | Duplicates::Error => "their mean kept",
        };
        let order = match duplicates.by_file_order {
            0 => String::new(),
            pairs => format!(", for {} by file order", count(pairs)),
        };
        let times = match report.has_ratings {
            true => format!(
                "rated more than once, {} of them differently",
                count(duplicates.conflicts)
            ),
            false => "chosen more than once".to_string(),
        };
        lines.push(format!(
            "       left out {} rows: {} pairs of user and product {times}; {kept}{order}",
            count(duplicates.rows_removed),
            count(duplicates.pairs),
        ));
    }
    if let Some(core) = &report.core {
        lines.push(format!(
            "       left out {} users and {} products with too few ratings, {} rows, in {} passes",
            count(core.users_removed),
            count(core.items_removed),
            count(core.rows_removed),
            core.passes,
        ));
    }
    for lost in &report.lost_zeros {
        lines.push(format!(
            "       warning: {} {} ids such as `{}` are shorter than the usual {}; have they lost leading zeros?",
            count(lost.count),
            lost.side,
            lost.example,
            lost.usual_length,
        ));
    }
    for alike in &report.look_alikes {
        let [first, second] = &alike.example;
        lines.push(format!(
            "       warning: {} {} ids differ in capitals, spaces or `.0` alone, such as `{first}` and `{second}`; are they the same?",
            count(alike.count),
            alike.side,
        ));
    }
    for warning in &report.warnings {
        lines.push(format!("       warning: {warning}"));
    }
    for held_out in &report.held_out {
        lines.push(format!(
            "       {:<8} {}: {} rows read, {} kept; {} users and {} products have no training row; {} rows train as well",
            held_out.part.name(),
            held_out.path.display(),
            count(held_out.rows_read),
            count(held_out.rows_kept),
            count(held_out.new_users),
            count(held_out.new_products),
            count(held_out.also_trained),
        ));
    }
    if let Some(titles) = &report.titles {
        lines.push(format!(
            "       titles for {} products, none for {}; {} ids of {} are not rated{}",
            count(titles.matched),
            count(titles.untitled),
            count(titles.unrated),
            titles.path.display(),
            match titles.bad_rows {
                0 => String::new(),
                rows => format!("; {} rows without id or title", count(rows)),
            },
        ));
    }
    lines
}
