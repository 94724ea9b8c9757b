//! The product of two matrices, on one thread.
//!
//! ```text
//! sum[r, c] = first[r, c] + left[r, 0] right[0, c] + left[r, 1] right[1, c] + ...      in this order
//! ```
//!
//! Shapes: sum, first `[rows, columns]`; left `[rows, terms]`; right `[terms, columns]`.
//! A product and its sum are rounded once where [`InstructionSet::fuses`], else twice: the same bits on all processors that fuse.
//!
//! A tile of sums stays in registers while terms pass by, each a row of `right` in blocks and a factor of `left` for each row of
//! the tile; the part of `right` that a tile needs stays in the nearest cache while all rows go over it (the inner loops of Goto
//! and van de Geijn, Anatomy of high-performance matrix multiplication, 2008). Nothing but columns that
//! are no whole block is packed: what is multiplied here is small and lies as it is wanted.

use super::instruction_set::{InstructionSet, Work};
use crate::common::block::{self, LANES};
use std::ops::Range;

/// Terms that pass by at once: at the widest tile 16 KiB of `right`.
const TERMS: usize = 64;

/// The left factor as it lies: element (row, term) at `row * row_stride + term * term_stride`.
#[derive(Clone, Copy, Debug)]
pub struct Left<'a> {
    words: &'a [f32],
    row_stride: usize,
    term_stride: usize,
}

impl<'a> Left<'a> {
    /// Rows that begin every `stride` words.
    pub fn rows(words: &'a [f32], stride: usize) -> Self {
        Self {
            words,
            row_stride: stride,
            term_stride: 1,
        }
    }

    /// Columns that begin every `stride` words.
    pub fn columns(words: &'a [f32], stride: usize) -> Self {
        Self {
            words,
            row_stride: 1,
            term_stride: stride,
        }
    }

    #[inline(always)]
    fn from(self, row: usize, term: usize) -> Self {
        Self {
            words: &self.words[row * self.row_stride + term * self.term_stride..],
            ..self
        }
    }
}

/// The right factor: rows that begin every `stride` words.
#[derive(Clone, Copy, Debug)]
pub struct Right<'a> {
    pub words: &'a [f32],
    pub stride: usize,
}

impl Right<'_> {
    #[inline(always)]
    fn from(self, term: usize, column: usize) -> Self {
        Self {
            words: &self.words[term * self.stride + column..],
            ..self
        }
    }
}

/// What products are added to.
#[derive(Clone, Copy, Debug)]
pub enum First<'a> {
    /// What stands in the sum.
    Kept,
    Zero,
    /// The same numbers in each row.
    Row(&'a [f32]),
}

/// The sum: rows that begin every `stride` words.
#[derive(Debug)]
pub struct Sum<'a> {
    pub words: &'a mut [f32],
    pub stride: usize,
    pub first: First<'a>,
}

impl Sum<'_> {
    #[inline(always)]
    fn from(&mut self, row: usize, column: usize) -> Sum<'_> {
        Sum {
            words: &mut self.words[row * self.stride + column..],
            stride: self.stride,
            first: match self.first {
                First::Row(numbers) => First::Row(&numbers[column..]),
                first => first,
            },
        }
    }

    /// What a row begins with; nothing begins with zeros.
    #[inline(always)]
    fn begin(&self, row: usize) -> Option<&[f32]> {
        match self.first {
            First::Kept => Some(&self.words[row * self.stride..]),
            First::Zero => None,
            First::Row(numbers) => Some(numbers),
        }
    }
}

/// Fills `sum`, of shape `[rows, columns]`, with factors of shapes `[rows, terms]` and `[terms, columns]`.
///
/// Panics if a matrix is smaller than its shape, if rows of the sum overlap, if there are no terms, or if the processor does not have these instructions.
pub fn multiply(instructions: InstructionSet, sum: Sum, left: Left, right: Right, shape: [usize; 3]) {
    let [rows, terms, columns] = shape;
    let covers = |words: usize, [rows, row_stride]: [usize; 2], [columns, column_stride]: [usize; 2]| {
        let last = |count: usize, stride: usize| count.saturating_sub(1).checked_mul(stride);
        let last = last(rows, row_stride).zip(last(columns, column_stride));
        let last = last.and_then(|(row, column)| row.checked_add(column));
        rows == 0 || columns == 0 || last.is_some_and(|last| last < words)
    };
    let first_fits = match sum.first {
        First::Row(numbers) => numbers.len() >= columns,
        First::Kept | First::Zero => true,
    };
    assert!(
        terms > 0
            && first_fits
            && (sum.stride >= columns || rows < 2)
            && covers(sum.words.len(), [rows, sum.stride], [columns, 1])
            && covers(left.words.len(), [rows, left.row_stride], [terms, left.term_stride])
            && covers(right.words.len(), [terms, right.stride], [columns, 1]),
        "multiply: a matrix is smaller than [{rows}, {terms}] x [{terms}, {columns}]"
    );
    // A tile's sums, its row of `right` and a factor have to fit into the registers: 32 of a block, 16 of half a one, of a quarter
    // 16 and on ARM 32. What would just fit the compiler shifts about.
    match instructions {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => instructions.run(Product::<4, 8, 4, true> {
            sum,
            left,
            right,
            shape,
        }),
        _ if instructions.fuses() => instructions.run(Product::<4, 4, 1, true> {
            sum,
            left,
            right,
            shape,
        }),
        _ => instructions.run(Product::<2, 2, 1, false> {
            sum,
            left,
            right,
            shape,
        }),
    }
}

/// A product in tiles of `ROWS` rows by `BLOCKS` blocks of columns, or `TALL` rows by one or two blocks.
struct Product<'a, const ROWS: usize, const TALL: usize, const BLOCKS: usize, const FUSED: bool> {
    sum: Sum<'a>,
    left: Left<'a>,
    right: Right<'a>,
    shape: [usize; 3],
}

impl<const ROWS: usize, const TALL: usize, const BLOCKS: usize, const FUSED: bool> Work
    for Product<'_, ROWS, TALL, BLOCKS, FUSED>
{
    #[inline(always)]
    fn run(mut self) {
        let [_, terms, columns] = self.shape;
        for first in (0..terms).step_by(TERMS) {
            let terms = first..(first + TERMS).min(terms);
            let mut column = 0;
            while column + LANES <= columns {
                let blocks = BLOCKS.min((columns - column) / LANES);
                match blocks {
                    4 => self.panel::<ROWS, 4>(&terms, column),
                    3 => self.panel::<ROWS, 3>(&terms, column),
                    2 => self.panel::<TALL, 2>(&terms, column),
                    _ => self.panel::<TALL, 1>(&terms, column),
                }
                column += blocks * LANES;
            }
            if column < columns {
                self.rest(&terms, column);
            }
            self.sum.first = First::Kept;
        }
    }
}

impl<const ROWS: usize, const TALL: usize, const BLOCKS: usize, const FUSED: bool>
    Product<'_, ROWS, TALL, BLOCKS, FUSED>
{
    /// `WIDE` blocks of columns, in tiles of `HIGH` rows.
    #[inline(always)]
    fn panel<const HIGH: usize, const WIDE: usize>(&mut self, terms: &Range<usize>, column: usize) {
        let rows = self.shape[0];
        let mut row = 0;
        while row + HIGH <= rows {
            self.tile::<HIGH, WIDE>(row, terms, column);
            row += HIGH;
        }
        while row < rows {
            self.tile::<1, WIDE>(row, terms, column);
            row += 1;
        }
    }

    #[inline(always)]
    fn tile<const HIGH: usize, const WIDE: usize>(&mut self, row: usize, terms: &Range<usize>, column: usize) {
        let left = self.left.from(row, terms.start);
        let right = self.right.from(terms.start, column);
        // SAFETY: these rows, terms and columns are inside of the shape, which all three cover.
        unsafe { tile::<HIGH, WIDE, FUSED>(self.sum.from(row, column), left, right, terms.len()) };
    }

    /// The columns that are no whole block, made one with zeros.
    #[inline(always)]
    fn rest(&mut self, terms: &Range<usize>, column: usize) {
        let [rows, _, columns] = self.shape;
        let mut blocks = [0.0; TERMS * LANES];
        for (term, block) in terms.clone().zip(blocks.as_chunks_mut().0) {
            *block = block::padded(&self.right.from(term, column).words[..columns - column], 0.0);
        }
        let mut row = 0;
        while row + TALL <= rows {
            self.rest_of_rows::<TALL>(row, terms, column, &blocks);
            row += TALL;
        }
        while row < rows {
            self.rest_of_rows::<1>(row, terms, column, &blocks);
            row += 1;
        }
    }

    /// `blocks` holds the columns of these terms.
    #[inline(always)]
    fn rest_of_rows<const HIGH: usize>(
        &mut self,
        row: usize,
        terms: &Range<usize>,
        column: usize,
        blocks: &[f32; TERMS * LANES],
    ) {
        let width = self.shape[2] - column;
        let left = self.left.from(row, terms.start);
        let target = self.sum.from(row, column);
        let mut sums = [[0.0; LANES]; HIGH];
        for (row, sums) in sums.iter_mut().enumerate() {
            if let Some(numbers) = target.begin(row) {
                sums[..width].copy_from_slice(&numbers[..width]);
            }
        }
        let sum = Sum {
            words: sums.as_flattened_mut(),
            stride: LANES,
            first: First::Kept,
        };
        let right = Right {
            words: blocks,
            stride: LANES,
        };
        // SAFETY: the left factor covers its shape, and there are as many blocks as terms.
        unsafe { tile::<HIGH, 1, FUSED>(sum, left, right, terms.len()) };
        for (row, sums) in sums.iter().enumerate() {
            target.words[row * target.stride..][..width].copy_from_slice(&sums[..width]);
        }
    }
}

/// The sums of one tile, in registers while the terms pass by.
///
/// # Safety
///
/// Both factors have to cover the tile: asking again for each word takes a fifth of the time.
#[inline(always)]
unsafe fn tile<const ROWS: usize, const BLOCKS: usize, const FUSED: bool>(
    sum: Sum,
    left: Left,
    right: Right,
    terms: usize,
) {
    let mut sums = [[[0.0; LANES]; BLOCKS]; ROWS];
    for (row, sums) in sums.iter_mut().enumerate() {
        if let Some(numbers) = sum.begin(row) {
            *sums = *as_blocks(&numbers[..BLOCKS * LANES]);
        }
    }
    for term in 0..terms {
        block::one_at_a_time();
        let first = term * right.stride;
        // SAFETY: the caller's promise.
        let blocks: [[f32; LANES]; BLOCKS] =
            *as_blocks(unsafe { right.words.get_unchecked(first..first + BLOCKS * LANES) });
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            let factor = unsafe {
                *left
                    .words
                    .get_unchecked(row * left.row_stride + term * left.term_stride)
            };
            for block in 0..BLOCKS {
                let mut added = [0.0; LANES];
                for lane in 0..LANES {
                    added[lane] = block::add_product::<FUSED>(sums[block][lane], factor, blocks[block][lane]);
                }
                sums[block] = added;
            }
        }
    }
    if BLOCKS < 3 {
        // As `block::stored`: what a row of one block is written to would take a lane or two of it apart.
        sums = std::hint::black_box(sums);
    }
    for (row, sums) in sums.iter().enumerate() {
        let words = &mut sum.words[row * sum.stride..][..BLOCKS * LANES];
        let words: &mut [[f32; LANES]; BLOCKS] = words.as_chunks_mut().0.try_into().expect("as many as a tile has");
        *words = *sums;
    }
}

/// Numbers as whole blocks. Panics if they are not.
#[inline(always)]
fn as_blocks<const BLOCKS: usize>(numbers: &[f32]) -> &[[f32; LANES]; BLOCKS] {
    numbers.as_chunks().0.try_into().expect("as many as are asked for")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: each product and its sum rounded once, or twice.
    fn expected(sum: &Sum, left: Left, right: Right, [rows, terms, columns]: [usize; 3], fused: bool) -> Vec<f32> {
        let mut expected = sum.words.to_vec();
        for row in 0..rows {
            for column in 0..columns {
                let place = &mut expected[row * sum.stride + column];
                match sum.first {
                    First::Kept => {}
                    First::Zero => *place = 0.0,
                    First::Row(numbers) => *place = numbers[column],
                }
                for term in 0..terms {
                    let factor = left.words[row * left.row_stride + term * left.term_stride];
                    let other = right.words[term * right.stride + column];
                    *place = if fused {
                        factor.mul_add(other, *place)
                    } else {
                        factor * other + *place
                    };
                }
            }
        }
        expected
    }

    #[test]
    fn a_product_is_its_terms_in_order_whatever_the_shape_the_layout_and_the_instructions() {
        let number = |at: usize| ((at * 37 + 11) % 101) as f32 / 7.0 - 7.0;
        let numbers = |count: usize, from: usize| -> Vec<f32> { (0..count).map(|at| number(at + from)).collect() };
        let shapes = [
            [0, 3, 4],
            [1, 1, 1],
            [3, 5, 2],
            [5, 64, 16],
            [19, 65, 36],
            [17, 64, 53],
            [4, 130, 112],
            [64, 7, 256],
        ];
        for instructions in InstructionSet::available() {
            for shape @ [rows, terms, columns] in shapes {
                for by_columns in [false, true] {
                    let (right_stride, sum_stride) = (columns + 3, columns + 1);
                    let first = numbers(columns, 9);
                    for first in [First::Kept, First::Zero, First::Row(&first)] {
                        let words = numbers((rows + 4) * (terms + 4), 0);
                        let left = if by_columns {
                            Left::columns(&words, rows + 4)
                        } else {
                            Left::rows(&words, terms + 4)
                        };
                        let words = numbers(terms * right_stride, 5);
                        let right = Right {
                            words: &words,
                            stride: right_stride,
                        };
                        let mut words = numbers(rows * sum_stride, 3);
                        let sum = Sum {
                            words: &mut words,
                            stride: sum_stride,
                            first,
                        };
                        let expected = expected(&sum, left, right, shape, instructions.fuses());
                        multiply(instructions, sum, left, right, shape);
                        assert_eq!(words, expected, "{instructions:?}, {shape:?}, {first:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let words = [0.0; 12];
        // Words and strides of the sum, the left and the right factor of a product [2, 3] x [3, 2].
        let fits = [(4, 2), (6, 3), (6, 2)];
        let multiply = |[sum, left, right]: [(usize, usize); 3], first: &[f32], by_columns: bool| {
            let mut sums = [0.0; 12];
            let sum = Sum {
                words: &mut sums[..sum.0],
                stride: sum.1,
                first: First::Row(first),
            };
            let of = if by_columns { Left::columns } else { Left::rows };
            let right = Right {
                words: &words[..right.0],
                stride: right.1,
            };
            let left = of(&words[..left.0], left.1);
            multiply(InstructionSet::best(), sum, left, right, [2, 3, 2]);
        };
        let refused =
            |sizes, first: &[f32], by_columns| std::panic::catch_unwind(|| multiply(sizes, first, by_columns)).is_err();
        assert!(!refused(fits, &words, false) && refused(fits, &words[..1], false));
        for matrix in 0..3 {
            for (words, stride) in [(-1, 0), (0, 1), (0, 1 << 62), (0, isize::MIN)] {
                let mut sizes = fits;
                sizes[matrix].0 = sizes[matrix].0.wrapping_add_signed(words);
                sizes[matrix].1 = sizes[matrix].1.wrapping_add_signed(stride);
                assert!(refused(sizes, &[0.0; 2], false), "{sizes:?}");
            }
        }
        // By columns a stride is multiplied by the terms.
        let by_columns = |stride| [fits[0], (6, stride), fits[2]];
        assert!(!refused(by_columns(2), &words, true));
        assert!(refused(by_columns(3), &words, true) && refused(by_columns(1 << 63), &words, true));
        // Overlapping rows of the sum.
        assert!(refused([(4, 1), fits[1], fits[2]], &words, false));
    }
}
