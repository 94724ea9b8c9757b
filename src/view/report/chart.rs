//! One chart as an SVG element for a page: lines over two axes, in colours that the page's style decides.
//!
//! Written by hand: the drawing crates that would do turn on features of `num-traits` that build burn a second time, and their
//! colours are fixed, where these are the page's variables and so right on a light and on a dark page and in print.

use crate::view::page::escape;
use std::fmt::Write;

/// A line of a chart.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    pub points: Vec<[f64; 2]>,
    /// Shows each point, for the few points of bins and epochs.
    pub marks: bool,
}

impl Series {
    /// A line; `marks` shows its points.
    pub fn new(name: &str, points: Vec<[f64; 2]>, marks: bool) -> Self {
        Self {
            name: name.to_string(),
            points,
            marks,
        }
    }
}

/// The colour of a reference line, such as chance; it is dashed.
pub const REFERENCE: usize = 3;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 300.0;
/// The plot inside it: room for labels on the left and below.
const LEFT: f64 = 58.0;
const RIGHT: f64 = 450.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 254.0;

/// Draws lines, each in the colour of its number. Ranges are `[low, high]`; points outside are left out.
fn svg(x: (&str, [f64; 2]), y: (&str, [f64; 2]), series: &[(usize, Series)]) -> String {
    let ((x_name, [x_low, x_high]), (y_name, [y_low, y_high])) = (x, y);
    let across = |value: f64| LEFT + (value - x_low) / (x_high - x_low) * (RIGHT - LEFT);
    let down = |value: f64| BOTTOM - (value - y_low) / (y_high - y_low) * (BOTTOM - TOP);
    let mut out = format!("<svg role=\"img\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-size=\"12\" fill=\"currentColor\">");
    let mut put = |text: String| out.push_str(&text);
    for tick in ticks(x_low, x_high) {
        let at = across(tick);
        put(format!("<path d=\"M{at:.1} {TOP}V{BOTTOM}\" stroke=\"var(--grid)\"/>"));
        put(format!(
            "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            BOTTOM + 17.0,
            label(tick)
        ));
    }
    for tick in ticks(y_low, y_high) {
        let at = down(tick);
        put(format!("<path d=\"M{LEFT} {at:.1}H{RIGHT}\" stroke=\"var(--grid)\"/>"));
        put(format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            label(tick)
        ));
    }
    put(format!(
        "<path d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\" fill=\"none\" stroke=\"currentColor\"/>"
    ));
    let (middle, bottom) = ((LEFT + RIGHT) / 2.0, HEIGHT - 8.0);
    put(format!(
        "<text x=\"{middle:.1}\" y=\"{bottom:.1}\" text-anchor=\"middle\">{}</text>",
        escape(x_name)
    ));
    let half = (TOP + BOTTOM) / 2.0;
    put(format!(
        "<text transform=\"translate(13 {half:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        escape(y_name)
    ));
    for (colour, series) in series {
        let inside = |point: &&[f64; 2]| (x_low..=x_high).contains(&point[0]) && (y_low..=y_high).contains(&point[1]);
        let mut path = String::new();
        let mut marks = String::new();
        for &[x, y] in series.points.iter().filter(inside) {
            let (x, y) = (across(x), down(y));
            let step = if path.is_empty() { 'M' } else { 'L' };
            write!(path, "{step}{x:.1} {y:.1}").expect("text takes text");
            if series.marks {
                write!(
                    marks,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"var(--line-{colour})\"/>"
                )
                .expect("text takes text");
            }
        }
        let dashes = if *colour == REFERENCE {
            " stroke-dasharray=\"5 4\""
        } else {
            ""
        };
        put(format!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"var(--line-{colour})\" stroke-width=\"2\"{dashes}/>{marks}"
        ));
    }
    put("</svg>".to_string());
    out
}

/// Round numbers in a range, about six of them: steps of 1, 2 or 5 times a power of ten.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 6.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(10.0 * power);
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    (first..=last).map(|number| number as f64 * step).collect()
}

/// A tick in words, without the noise of binary fractions.
fn label(tick: f64) -> String {
    let text = format!("{tick:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".to_string()
    } else {
        text.to_string()
    }
}

/// A figure: title, chart, and a caption that names each line in its colour.
pub fn figure(title: &str, x: (&str, [f64; 2]), y: (&str, [f64; 2]), series: &[(usize, Series)]) -> String {
    let names = series.iter().map(|(colour, series)| {
        let name = escape(&series.name);
        format!("<span class=\"key\"><i class=\"line-{colour}\"></i>{name}</span>")
    });
    format!(
        "<figure><figcaption><b>{}</b></figcaption>{}<figcaption>{}</figcaption></figure>\n",
        escape(title),
        svg(x, y, series),
        names.collect::<String>(),
    )
}

/// A range around values, a little wider; `[0, 1]` without any.
pub fn range_of(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    if low > high {
        return [0.0, 1.0];
    }
    let room = 0.05 * (high - low).max(1e-3 * high.abs()).max(1e-9);
    [low - room, high + room]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_the_pages_colours_and_asks_the_network_for_nothing() {
        let lines = [(0, Series::new("a < b", vec![[0.0, 0.0], [1.0, 1.0], [5.0, 5.0]], true))];
        let figure = figure("x & y", ("x", [0.0, 1.0]), ("y", [0.0, 1.0]), &lines);
        assert!(
            figure.contains("var(--line-0)") && figure.contains("currentColor"),
            "{figure}"
        );
        assert!(!figure.contains('#') && !figure.contains("http"), "{figure}");
        assert!(figure.contains("x &amp; y") && figure.contains("a &lt; b"), "{figure}");
        assert_eq!(figure.matches("<circle").count(), 2, "a point outside is drawn");
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(
            ticks(0.0, 1.0).iter().map(|&tick| label(tick)).collect::<Vec<_>>(),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
        assert_eq!(
            ticks(0.412, 0.447).iter().map(|&tick| label(tick)).collect::<Vec<_>>(),
            ["0.42", "0.43", "0.44"]
        );
        assert_eq!(ticks(0.0, 2413.0).len(), 5);
    }

    #[test]
    fn a_range_has_room_even_around_one_value() {
        let [low, high] = range_of([0.5].into_iter());
        assert!(low < 0.5 && high > 0.5);
        assert_eq!(range_of([f64::NAN].into_iter()), [0.0, 1.0]);
    }
}
