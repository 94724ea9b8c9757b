//! The meter: what was answered, how fast, in the text format that Prometheus reads.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the histogram, seconds.
const BOUNDS: [f64; 12] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Counts of what was answered.
#[derive(Debug, Default)]
pub struct Meter {
    routes: Mutex<BTreeMap<(String, u16), Timed>>,
    reloads: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Timed {
    /// Answers below each bound, and slower ones.
    below: [u64; BOUNDS.len() + 1],
    seconds: f64,
}

/// What else is told of a server.
#[derive(Clone, Copy, Debug)]
pub struct Gauges {
    pub waiting: usize,
    pub passes: u64,
    pub answered: u64,
    pub users: usize,
    pub products: usize,
    /// Seconds since the run was completed.
    pub model_age: f64,
    /// Ratings that came since the training.
    pub ratings: usize,
}

impl Meter {
    /// Counts an answer.
    pub fn answered(&self, route: &str, status: u16, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let timed = routes.entry((route.to_string(), status)).or_default();
        timed.below[bucket] += 1;
        timed.seconds += seconds;
    }

    /// Counts a run that was taken.
    pub fn reloaded(&self) {
        self.reloads.fetch_add(1, Ordering::Relaxed);
    }

    /// All of it, as Prometheus reads it.
    pub fn text(&self, gauges: Gauges) -> String {
        let mut text = String::new();
        let mut line = |line: String| {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{line}");
        };
        line("# HELP dotcart_request_seconds Time from the request's head to the answer's.".to_string());
        line("# TYPE dotcart_request_seconds histogram".to_string());
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for ((route, status), timed) in &routes {
            let labels = format!("route=\"{route}\",status=\"{status}\"");
            let mut sum = 0;
            for (place, count) in timed.below.iter().enumerate() {
                sum += count;
                let bound = BOUNDS.get(place).map_or("+Inf".to_string(), f64::to_string);
                line(format!(
                    "dotcart_request_seconds_bucket{{{labels},le=\"{bound}\"}} {sum}"
                ));
            }
            line(format!("dotcart_request_seconds_sum{{{labels}}} {}", timed.seconds));
            line(format!("dotcart_request_seconds_count{{{labels}}} {sum}"));
        }
        let gauge = |name: &str, kind: &str, help: &str, value: String| {
            format!("# HELP dotcart_{name} {help}\n# TYPE dotcart_{name} {kind}\ndotcart_{name} {value}")
        };
        let reloads = self.reloads.load(Ordering::Relaxed);
        for (name, kind, help, value) in [
            (
                "queue_waiting",
                "gauge",
                "Lists that wait to be scored.",
                gauges.waiting.to_string(),
            ),
            (
                "passes_total",
                "counter",
                "Passes over the products.",
                gauges.passes.to_string(),
            ),
            (
                "scored_total",
                "counter",
                "Lists that those passes answered.",
                gauges.answered.to_string(),
            ),
            (
                "reloads_total",
                "counter",
                "Runs that were taken since the start.",
                reloads.to_string(),
            ),
            (
                "model_age_seconds",
                "gauge",
                "Seconds since the run was completed.",
                gauges.model_age.to_string(),
            ),
            ("model_users", "gauge", "Users of the run.", gauges.users.to_string()),
            (
                "model_products",
                "gauge",
                "Products of the run.",
                gauges.products.to_string(),
            ),
            (
                "ratings_since_training",
                "gauge",
                "Ratings that came since the training.",
                gauges.ratings.to_string(),
            ),
        ] {
            line(gauge(name, kind, help, value));
        }
        text
    }
}
