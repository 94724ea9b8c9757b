//! The product of two matrices, added to a third, on one thread: the `gemm` crate, with its strides checked.

/// A matrix as it lies: element (row, column) at `row * row_stride + column * column_stride`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    words: &'a [f32],
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows that begin every `stride` words.
    #[inline(always)]
    pub fn rows(words: &'a [f32], stride: usize) -> Self {
        Self {
            words,
            row_stride: stride,
            column_stride: 1,
        }
    }

    /// The same words with rows and columns changed over.
    #[inline(always)]
    pub fn transposed(self) -> Self {
        Self {
            words: self.words,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    fn covers(&self, rows: usize, columns: usize) -> bool {
        rows == 0
            || columns == 0
            || (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.words.len()
    }
}

/// A matrix of rows that begin every `stride` words, to be added to.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    words: &'a mut [f32],
    stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// Rows that begin every `stride` words.
    #[inline(always)]
    pub fn rows(words: &'a mut [f32], stride: usize) -> Self {
        Self { words, stride }
    }
}

/// `sum += left right`, of shapes `[rows, columns]`, `[rows, terms]`, `[terms, columns]`.
///
/// The order of summation depends on the shapes and the machine alone. Panics if a matrix is smaller than its shape.
#[inline(always)]
pub fn multiply(sum: MatrixMut, left: Matrix, right: Matrix, [rows, terms, columns]: [usize; 3]) {
    let target = Matrix::rows(sum.words, sum.stride);
    assert!(
        target.covers(rows, columns) && left.covers(rows, terms) && right.covers(terms, columns),
        "multiply: a matrix is smaller than [{rows}, {terms}] x [{terms}, {columns}]"
    );
    // SAFETY: every element that these shapes and strides name is there, as just asserted; what is written is borrowed
    // mutably, so it is not what is read. Rows and columns are handed over changed over, since the crate likes columns of the
    // sum to be contiguous.
    unsafe {
        gemm::gemm(
            columns,
            rows,
            terms,
            sum.words.as_mut_ptr(),
            sum.stride as isize,
            1,
            true,
            right.words.as_ptr(),
            right.row_stride as isize,
            right.column_stride as isize,
            left.words.as_ptr(),
            left.row_stride as isize,
            left.column_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_added_in_whatever_layout_its_factors_lie() {
        let number = |at: usize| ((at * 37 + 11) % 17) as f32 - 8.0;
        for [rows, terms, columns] in [[1, 1, 1], [3, 5, 2], [17, 64, 33], [64, 7, 256]] {
            let (left_stride, sum_stride) = (terms + 4, columns + 1);
            let left: Vec<f32> = (0..rows * left_stride).map(number).collect();
            let right: Vec<f32> = (0..terms * columns).map(|at| number(at + 5)).collect();
            let mut sum: Vec<f32> = (0..rows * sum_stride).map(|at| number(at + 9)).collect();
            let mut expected = sum.clone();
            for row in 0..rows {
                for column in 0..columns {
                    for term in 0..terms {
                        // `right` by columns.
                        expected[row * sum_stride + column] +=
                            left[row * left_stride + term] * right[column * terms + term];
                    }
                }
            }
            multiply(
                MatrixMut::rows(&mut sum, sum_stride),
                Matrix::rows(&left, left_stride),
                Matrix::rows(&right, terms).transposed(),
                [rows, terms, columns],
            );
            assert_eq!(sum, expected, "[{rows}, {terms}, {columns}]");
        }
    }

    #[test]
    #[should_panic(expected = "a matrix is smaller")]
    fn what_does_not_fit_is_refused() {
        let (left, right) = ([0.0; 6], [0.0; 6]);
        multiply(
            MatrixMut::rows(&mut [0.0; 3], 2),
            Matrix::rows(&left, 3),
            Matrix::rows(&right, 2),
            [2, 3, 2],
        );
    }
}
