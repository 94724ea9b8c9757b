//! Usual scales: which one ratings seem to be on that are off the scale that was asked for, and what else they may be.

use super::check::Check;
use super::fault::Fault;
use crate::common::format::count;
use crate::common::interaction::RatingScale;

/// Scales that ratings are usually on, the first that holds them being meant.
const USUAL: [[f32; 2]; 7] = [
    [0.0, 1.0],
    [1.0, 5.0],
    [0.5, 5.0],
    [0.0, 5.0],
    [1.0, 10.0],
    [0.0, 10.0],
    [0.0, 100.0],
];

/// The usual scale of ratings that are off `scale`, if there is one and no other reading of the table's `rows`.
pub fn other_scale(check: &Check, scale: RatingScale, rows: usize) -> Option<RatingScale> {
    let (low, high) = check.rating_range()?;
    let [min, max] = *USUAL.iter().find(|usual| usual[0] <= low && high <= usual[1])?;
    let is_plain = lone_value(check, scale).is_none()
        && !may_be_counts(check, high, max)
        && few_above(check, scale, max, rows).is_none();
    is_plain.then_some(RatingScale { min, max })
}

/// A scale that is used has this share of the rows, one in so many, above the end of each smaller one.
const ONE_IN: usize = 10;

/// Whether so few of all rows lie above the end of a scale that they may be slips.
pub fn may_be_slips(above: usize, rows: usize) -> bool {
    ONE_IN * above < rows
}

/// The end of a smaller scale than one that ends at `max`, and the rows above it, if they are so few that they may be slips.
fn few_above(check: &Check, scale: RatingScale, max: f32, rows: usize) -> Option<(f32, usize)> {
    check
        .above()
        .find(|&(top, above)| scale.max <= top && top < max && may_be_slips(above, rows))
}

/// What to do about slips above the end of a scale.
fn slips_hint(
    [low, top]: [f32; 2],
    [min, max]: [f32; 2],
    slips: usize,
    scale: RatingScale,
    [bad, rows]: [usize; 2],
) -> String {
    let (set, left_out) = match top > scale.max {
        true => {
            let usual = USUAL.iter().find(|usual| usual[0] <= low && top <= usual[1]);
            let [min, max] = usual.copied().unwrap_or([low, top]);
            (format!("`data.rating_scale = [{min}, {max}]` and "), slips)
        }
        false => (String::new(), bad),
    };
    // A little more than their share, which may be no short number.
    let allowed = ((1e3 * left_out as f64 / rows as f64).floor() + 1.0) / 1e3;
    format!(
        "{} of {} rows are above {top}: if they are slips, set {set}`data.max_bad_rows = {allowed}` to leave them out; if ratings go \
         that high, set `data.rating_scale = [{min}, {max}]`",
        count(slips),
        count(rows),
    )
}

/// A value of its own below all others, with a gap to them: no rating, it seems.
fn lone_value(check: &Check, scale: RatingScale) -> Option<f32> {
    let below: Vec<f32> = check
        .off_scale()
        .iter()
        .copied()
        .filter(|value| *value < scale.min)
        .collect();
    match below.as_slice() {
        [lone] if *lone <= 0.0 && scale.min - lone >= 1.0 => Some(*lone),
        _ => None,
    }
}

/// A hundred is usual where it is reached.
fn may_be_counts(check: &Check, high: f32, max: f32) -> bool {
    max == 100.0 && high < 50.0 && check.off_scale().iter().all(|value| value.fract() == 0.0)
}

/// What scale the table seems to have, if it is another one, where so many rows are bad of all.
pub fn scale_hint(check: &Check, scale: RatingScale, [bad, rows]: [usize; 2]) -> String {
    let Some((low, high)) = check
        .rating_range()
        .filter(|(low, high)| !scale.contains(*low) || !scale.contains(*high))
    else {
        // What is off is no finite number.
        return Fault::OffTheScale.hint(0).to_string();
    };
    if let Some(lone) = lone_value(check, scale) {
        let rest = [scale.min, high.max(scale.max)];
        let usual = USUAL
            .iter()
            .find(|usual| usual[0] <= rest[0] && rest[1] <= usual[1] && usual[0] > lone);
        let [min, max] = usual.copied().unwrap_or(rest);
        let scale_too = match high > scale.max {
            true => format!(" and `data.rating_scale = [{min}, {max}]`"),
            false => String::new(),
        };
        // Of two values alone the other one ends the scale: likes and dislikes.
        let max = if high <= 1.0 { 1.0 } else { max };
        return format!(
            "{lone} stands below all other ratings: if it means \"not rated\", set `data.unrated = [{lone}]`{scale_too}; if it is a \
             rating, set `data.rating_scale = [{lone}, {max}]`"
        );
    }
    let usual = USUAL.iter().find(|usual| usual[0] <= low && high <= usual[1]);
    let may_count = usual.is_some_and(|usual| may_be_counts(check, high, usual[1]));
    let [min, max] = usual.copied().filter(|_| !may_count).unwrap_or([low, high]);
    let slips = few_above(check, scale, max, rows)
        .map(|(top, slips)| slips_hint([low, top], [min, max], slips, scale, [bad, rows]));
    match (may_count, slips) {
        (true, slips) => format!(
            "the values run from {low} to {high}: if they are counts, learn from what was chosen and how often, with \
             `data.columns.rating = \"\"` and `data.columns.count` set to this column; {}",
            slips.unwrap_or_else(|| format!("if they are ratings, set `data.rating_scale = [{min}, {max}]`")),
        ),
        (false, Some(slips)) => slips,
        (false, None) => {
            format!("the ratings run from {low} to {high}: if that is right, set `data.rating_scale = [{min}, {max}]`")
        }
    }
}
