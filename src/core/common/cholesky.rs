//! Cholesky's factorisation of a small dense matrix, and what is solved with it.

/// A direction with less than this share of its square left, beside those before it, is taken for none.
const DEPENDENT: f64 = 1e-8;

/// The lower triangle L of `matrix = L L^T`, `[size, size]` by rows.
pub struct Cholesky {
    size: usize,
    lower: Vec<f64>,
}

impl Cholesky {
    /// Factorises a symmetric positive semidefinite matrix, `[size, size]` by rows, of which the lower triangle is read. A column
    /// that depends on those before it becomes zero, and so does what is solved for it.
    ///
    /// Panics if the matrix is of another size.
    pub fn new(matrix: Vec<f64>, size: usize) -> Self {
        assert_eq!(matrix.len(), size * size, "Cholesky: not a square");
        let mut lower = matrix;
        for row in 0..size {
            let (above, here) = lower.split_at_mut(row * size);
            for column in 0..row {
                let pivot = above[column * size + column];
                let rest = here[column] - dot(&above[column * size..][..column], &here[..column]);
                here[column] = if pivot > 0.0 { rest / pivot } else { 0.0 };
            }
            let rest = here[row] - dot(&here[..row], &here[..row]);
            here[row] = if rest > DEPENDENT * here[row] { rest.sqrt() } else { 0.0 };
        }
        Self { size, lower }
    }

    /// Solves `L x = right` in place.
    pub fn solve_lower(&self, right: &mut [f64]) {
        for row in 0..self.size {
            let factors = &self.lower[row * self.size..][..=row];
            let rest = right[row] - dot(&factors[..row], &right[..row]);
            right[row] = divided(rest, factors[row]);
        }
    }

    /// Solves `L L^T x = right` in place.
    pub fn solve(&self, right: &mut [f64]) {
        self.solve_lower(right);
        for row in (0..self.size).rev() {
            let factors = &self.lower[row * self.size..][..=row];
            let value = divided(right[row], factors[row]);
            right[row] = value;
            let before = right[..row].iter_mut().zip(factors);
            before.for_each(|(right, factor)| *right -= value * factor);
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `rest / pivot`; 0 where there is no pivot.
fn divided(rest: f64, pivot: f64) -> f64 {
    if pivot > 0.0 { rest / pivot } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_solved_gives_the_right_side_again() {
        // M M^T + I of M[row, column] = sin(row + 7 column).
        let (size, entry) = (9, |row: usize, column: usize| ((row + 7 * column) as f64).sin());
        let at = |row, column| {
            let product: f64 = (0..size).map(|inner| entry(row, inner) * entry(column, inner)).sum();
            product + if row == column { 1.0 } else { 0.0 }
        };
        let matrix: Vec<f64> = (0..size * size).map(|index| at(index / size, index % size)).collect();
        let right: Vec<f64> = (0..size).map(|row| row as f64 - 3.5).collect();
        let mut x = right.clone();
        Cholesky::new(matrix.clone(), size).solve(&mut x);
        for (row, right) in matrix.chunks_exact(size).zip(&right) {
            assert!((dot(row, &x) - right).abs() < 1e-12, "{x:?}");
        }
    }

    #[test]
    fn a_column_that_depends_on_others_is_left_out() {
        // The third number of each vector is the sum of the first two, so in exact arithmetic its pivot is 0. Whether rounding
        // leaves a little above or below it is chance: of forty tries some are above.
        for phase in (0..40).map(f64::from) {
            let vectors: Vec<[f64; 3]> = (0..7)
                .map(|at| [phase + f64::from(at), 1.0 + phase - 3.0 * f64::from(at)].map(f64::sin))
                .map(|[a, b]| [a, b, a + b])
                .collect();
            let gram =
                |row: usize, column: usize| -> f64 { vectors.iter().map(|vector| vector[row] * vector[column]).sum() };
            let matrix: Vec<f64> = (0..9).map(|index| gram(index / 3, index % 3)).collect();
            // Of what the first column gives.
            let mut x: Vec<f64> = (0..3).map(|row| gram(row, 0)).collect();
            Cholesky::new(matrix, 3).solve(&mut x);
            assert!((x[0] - 1.0).abs() < 1e-9 && x[1].abs() < 1e-9 && x[2] == 0.0, "{x:?}");
        }
    }
}
