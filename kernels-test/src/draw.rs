//! Drawn cases: a kernel's `draw` function makes a case of numbers that [`Draw`] gives it, one number a choice. The
//! numbers are the case: the same ones make it again (`--replay`), smaller ones a smaller case, which is how failures
//! shrink. The functions stand beside the case lists in `cases/`; who has none, and why, in `cases/draws.rs`.

mod literal;
mod report;
mod search;

pub use literal::Literal;
pub(crate) use literal::row;
pub use report::{Options, case_of, report};
pub use search::{Failure, Found, search};

use crate::case::{Case, Fill, Random};
use omma::DType;

/// A case with the line that makes it.
#[derive(Debug)]
pub struct Drawn {
    /// The case.
    pub case: Case,
    /// Rust: a row for the case list of the kernel.
    pub row: String,
}

impl Drawn {
    /// The case with this seed and no other change.
    fn seeded(self, seed: u64) -> Self {
        Self { case: self.case.seeded(seed), row: format!("{}.seeded({seed})", self.row) }
    }
    /// The case with an input filled otherwise.
    #[must_use]
    pub fn filled(self, input: usize, fill: Fill) -> Self {
        let row = format!("{}.filled({input}, {})", self.row, fill.literal());
        Self { case: self.case.filled(input, fill), row }
    }
    /// The case as a GPU would run it.
    fn on_gpu(self, subgroup: bool) -> Self {
        Self { case: self.case.as_gpu(subgroup), row: format!("{}.as_gpu({subgroup})", self.row) }
    }
}

/// What draws cases of a kernel.
pub type Strategy = fn(&mut Draw) -> Drawn;

/// Where the numbers come from.
enum Source {
    Random(Random),
    Listed(Vec<u32>),
}

/// Gives numbers, and remembers them.
pub struct Draw {
    source: Source,
    taken: Vec<u32>,
}

impl Draw {
    /// Numbers from a seed.
    pub fn random(seed: u64) -> Self {
        Self { source: Source::Random(Random::new(seed)), taken: Vec::new() }
    }
    /// These numbers; what is not listed is 0, what is too large the largest that is allowed.
    pub fn listed(numbers: Vec<u32>) -> Self {
        Self { source: Source::Listed(numbers), taken: Vec::new() }
    }
    /// The case that `strategy` makes of these numbers, and the numbers that it took.
    pub fn case(mut self, strategy: Strategy) -> (Drawn, Vec<u32>) {
        let drawn = strategy(&mut self);
        let gpu = self.pick(&[None, None, Some(false), Some(true)]);
        let seed = self.below(1 << 16) as u64;
        let drawn = gpu.into_iter().fold(drawn, Drawn::on_gpu).seeded(seed);
        (drawn, self.taken)
    }

    /// A number below `count`. `spread` makes it of a number in `[0, 1)`.
    fn choice(&mut self, count: usize, spread: impl FnOnce(&mut Random) -> usize) -> usize {
        let last = count.saturating_sub(1);
        let number = match &mut self.source {
            Source::Random(random) => spread(random),
            Source::Listed(numbers) => numbers.get(self.taken.len()).map_or(0, |n| *n as usize),
        };
        self.taken.push(number.min(last) as u32);
        number.min(last)
    }
    /// Below `count`, each as often.
    pub fn below(&mut self, count: usize) -> usize {
        self.choice(count, |random| (random.unit() * count as f64) as usize)
    }
    /// An extent in `1 ..= most`: small ones as often as large ones, every other one beside a power of two.
    pub fn size(&mut self, most: usize) -> usize {
        1 + self.choice(most, |random| {
            let size = ((most as f64 + 1.0).ln() * random.unit()).exp() as usize;
            let beside = match (random.unit() * 6.0) as usize {
                0 => size.next_power_of_two() - 1,
                1 => size.next_power_of_two(),
                2 => size.next_power_of_two() + 1,
                _ => size,
            };
            beside.clamp(1, most) - 1
        })
    }
    /// An extent that may be 0, which is rare.
    pub fn size_or_none(&mut self, most: usize) -> usize {
        if self.below(16) == 15 { 0 } else { self.size(most) }
    }
    /// Yes or no; no is the simpler one.
    pub fn flag(&mut self) -> bool {
        self.below(2) == 1
    }
    /// One of a list, whose first is the simplest.
    pub fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
    /// One of a list, or nothing.
    pub fn maybe<T: Clone>(&mut self, list: &[T]) -> Option<T> {
        self.below(list.len() + 1).checked_sub(1).map(|i| list[i].clone())
    }
    /// `count` extents of at most `cells` together, none over `most`.
    pub fn shape(&mut self, count: usize, most: usize, cells: usize) -> Vec<usize> {
        let mut left = cells.max(1);
        let mut extents = Vec::new();
        for _ in 0..count {
            let extent = self.size(most.min(left));
            left /= extent;
            extents.push(extent);
        }
        extents
    }
    /// A permutation of `0 .. count`; the numbers 0 leave the order as it is.
    pub fn permutation(&mut self, count: usize) -> Vec<usize> {
        let mut left: Vec<usize> = (0..count).collect();
        (0..count).map(|_| left.remove(self.below(left.len()))).collect()
    }
    /// A type of activations.
    pub fn float(&mut self) -> DType {
        self.pick(&[DType::F32, DType::F32, DType::F32, DType::F16])
    }
    /// How activations of this type are filled: f16 with what does not overflow.
    pub fn fill_of(&mut self, dtype: DType) -> Fill {
        match dtype {
            DType::F16 => self.pick(&[Fill::Uniform(-1.0, 1.0), Fill::Uniform(-4.0, 4.0), Fill::Zeros]),
            _ => self.fill(),
        }
    }
    /// How an input of f32 is filled.
    pub fn fill(&mut self) -> Fill {
        let uniform = Fill::Uniform(-1.0, 1.0);
        let wide = Fill::Uniform(-9.0, 9.0);
        self.pick(&[uniform.clone(), uniform, wide, Fill::Zeros, Fill::Offset, Fill::Outlier, Fill::Huge, Fill::Tiny])
    }
}

impl Case {
    /// The case with another name, from which its seed comes.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.name += &format!(" seed {seed}");
        self
    }
    /// The case with an input filled otherwise.
    #[must_use]
    pub fn filled(mut self, input: usize, fill: Fill) -> Self {
        self.name += &format!(" {input} {fill:?}");
        self.inputs[input].fill = fill;
        self
    }
}
