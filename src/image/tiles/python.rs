//! Numbers as Python has them, where the references compute in floats: their results decide ties and floors.

/// `int(x)` of a number that is not negative.
pub fn int(x: f64) -> u32 {
    x as u32
}

/// `round(x)`: halves go to the even neighbour.
pub fn round(x: f64) -> u32 {
    x.round_ties_even() as u32
}

/// `math.ceil(x)`.
pub fn ceil(x: f64) -> u32 {
    x.ceil() as u32
}

/// `int(round(x, 7))`: as [`int`], but a number less than half a unit of the seventh decimal below the next whole one
/// counts as that.
pub fn int_round_7(x: f64) -> u32 {
    let next = x.floor() + 1.0;
    if next - x < 5e-8 { next as u32 } else { int(x) }
}

/// `x // y` of positive floats: the quotient of what is left without the remainder.
pub fn floor_divide(x: f64, y: f64) -> u32 {
    let quotient = (x - x % y) / y;
    let floor = quotient.floor();
    (if quotient - floor > 0.5 { floor + 1.0 } else { floor }) as u32
}

/// `a / b` of whole numbers.
pub fn divide(a: impl Into<f64>, b: impl Into<f64>) -> f64 {
    a.into() / b.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Python 3.11.
    #[test]
    fn as_python_computes() {
        assert_eq!([0.5, 1.5, 2.5, 3.4999].map(round), [0, 2, 2, 3]);
        assert_eq!([2.999_999_96, 2.999_999_94, 3.0, 2.0].map(int_round_7), [3, 2, 3, 2]);
        assert_eq!([floor_divide(1.0, 0.1), floor_divide(6.0, 0.3), floor_divide(54.0, 1.5)], [9, 20, 36]);
        assert_eq!((int(7.99), ceil(7.01), divide(1, 4)), (7, 8, 0.25));
    }
}
