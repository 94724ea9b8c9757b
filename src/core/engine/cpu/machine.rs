//! The machine's own rates, against which a training is judged.
//!
//! Copying: a block from one place to another, larger than any cache; a byte that is copied counts twice, read and written.
//! Random records: records of a training's length, anywhere in a table of a training's size, each read, changed and written
//! back, asked for ahead of time and in huge pages, as the cpu engine does it. No training that keeps its state in records is faster than that,
//! unless caches help: popular rows come again.
//! Products: matrices of the size that learning choices multiplies, again and again, in a core's cache.

use crate::common::random::{Purpose, stream};
use crate::engine::cpu::choice_scores::stride;
use crate::engine::cpu::instruction_set::InstructionSet;
use crate::engine::cpu::prefetch::{ROWS_AHEAD, prefetch};
use crate::engine::cpu::product::{First, Left, Right, Sum, multiply};
use crate::engine::cpu::table::Table;
use rand::RngExt;
use serde::Serialize;
use std::sync::Mutex;
use std::time::Instant;

/// What this machine's memory does when nothing else is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MachineRates {
    pub threads: usize,
    /// Bytes read plus bytes written a second, on all threads.
    pub copy_bytes_per_second: f64,
    pub record_bytes: usize,
    /// Records read and written a second, on one thread.
    pub random_records_per_second_one_thread: f64,
    /// Records read and written a second, on all threads, each in its own part of the table.
    pub random_records_per_second: f64,
    /// Multiplications and additions of matrix products a second, on all threads.
    pub product_operations_per_second: f64,
}

/// Bytes of each of the two blocks: beyond any cache.
const COPY_BYTES: usize = 256 << 20;
/// Each rate is measured for at least this long.
const SECONDS: f64 = 0.4;
/// Records that a thread visits, in this order, again and again: too many for any cache.
const VISITS: usize = 1 << 20;
/// Rows, terms and columns of a product: a block of users against what is drawn.
const PRODUCT: [usize; 3] = [64, 64, 256];
const PRODUCTS_PER_LOOK: usize = 16;
/// Records between two looks at the clock.
const VISITS_PER_LOOK: usize = 1 << 14;

/// Measures on `threads` threads, with records of `record_len` words in a table of `rows`. Takes about two seconds.
///
/// Panics if there is no row or no thread.
pub fn measure(record_len: usize, rows: usize, threads: usize) -> MachineRates {
    let mut table = Table::zeroed(rows * record_len);
    // Untouched memory has no pages yet.
    in_parts(table.words_mut(), 1, threads, |part, _| part.fill(1.0));
    let one_thread = random_records(table.words_mut(), record_len, 1);
    let all_threads = random_records(table.words_mut(), record_len, threads);
    drop(table);
    MachineRates {
        threads,
        copy_bytes_per_second: copy(threads),
        record_bytes: record_len * size_of::<f32>(),
        random_records_per_second_one_thread: one_thread,
        random_records_per_second: all_threads,
        product_operations_per_second: products(threads),
    }
}

/// Operations of products a second, of the shape that [`PRODUCT`] says.
fn products(threads: usize) -> f64 {
    let [rows, terms, columns] = PRODUCT;
    let mut sums = vec![0.0f32; threads * rows * stride(columns)];
    let (left, right) = (vec![0.5f32; rows * terms], vec![0.5f32; terms * stride(columns)]);
    let instructions = InstructionSet::best();
    let rate = Mutex::new(0.0);
    in_parts(&mut sums, 1, threads, |sum, _| {
        let start = Instant::now();
        let mut done = 0;
        while start.elapsed().as_secs_f64() < SECONDS {
            for _ in 0..PRODUCTS_PER_LOOK {
                let sum = Sum {
                    words: sum,
                    stride: stride(columns),
                    first: First::Zero,
                };
                let right = Right {
                    words: &right,
                    stride: stride(columns),
                };
                multiply(instructions, sum, Left::rows(&left, terms), right, PRODUCT);
            }
            done += PRODUCTS_PER_LOOK;
        }
        let operations = 2 * rows * terms * columns * done;
        *rate.lock().expect("no thread panics") += operations as f64 / start.elapsed().as_secs_f64();
    });
    std::hint::black_box(sums.as_ptr());
    rate.into_inner().expect("no thread panics")
}

/// Runs `work` on equal parts of `table`, cut between records, a thread each; the part's number is the second argument.
fn in_parts(table: &mut [f32], record_len: usize, threads: usize, work: impl Fn(&mut [f32], usize) + Sync) {
    let records = (table.len() / record_len).div_ceil(threads);
    std::thread::scope(|scope| {
        for (number, part) in table.chunks_mut(records * record_len).enumerate() {
            let work = &work;
            scope.spawn(move || work(part, number));
        }
    });
}

/// Bytes read plus written a second.
fn copy(threads: usize) -> f64 {
    let from = vec![1.0f32; COPY_BYTES / size_of::<f32>()];
    let mut to = vec![2.0f32; from.len()];
    let mut best = f64::INFINITY;
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < SECONDS {
        let pass = Instant::now();
        let length = from.len().div_ceil(threads);
        in_parts(&mut to, 1, threads, |part, number| {
            part.copy_from_slice(&from[number * length..][..part.len()]);
        });
        best = best.min(pass.elapsed().as_secs_f64());
    }
    std::hint::black_box(&to);
    2.0 * COPY_BYTES as f64 / best
}

/// Records read and written a second.
fn random_records(table: &mut [f32], record_len: usize, threads: usize) -> f64 {
    let rate = Mutex::new(0.0);
    in_parts(table, record_len, threads, |part, number| {
        let mut rng = stream(1, Purpose::Synthetic, number as u32);
        let records = (part.len() / record_len) as u32;
        let places: Vec<u32> = (0..VISITS).map(|_| rng.random_range(0..records)).collect();
        let place = |visit: usize| places[visit % VISITS] as usize * record_len;
        let start = Instant::now();
        let mut visit = 0;
        while start.elapsed().as_secs_f64() < SECONDS {
            for _ in 0..VISITS_PER_LOOK {
                prefetch(part, place(visit + ROWS_AHEAD), record_len);
                let record = &mut part[place(visit)..][..record_len];
                record.iter_mut().for_each(|word| *word = 1.5 - *word);
                visit += 1;
            }
        }
        *rate.lock().expect("no thread panics") += visit as f64 / start.elapsed().as_secs_f64();
    });
    std::hint::black_box(table.as_ptr());
    rate.into_inner().expect("no thread panics")
}
