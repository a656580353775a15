//! The search: proptest draws numbers, runs their cases and shrinks what fails, number by number.

use super::{Draw, Strategy as Draws};
use crate::case::Case;
use crate::run::Outcome;
use omma::Result;
use proptest::prelude::{ProptestConfig, Rng, Strategy, TestCaseError};
use proptest::strategy::{NewTree, ValueTree};
use proptest::test_runner::{RngAlgorithm, TestCaseResult, TestError, TestRng, TestRunner};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;

/// Runs of one shrink, at most.
const SHRINKS: u32 = 2000;

/// What a search came to.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Cases that ran.
    pub ran: usize,
    /// Cases that the device cannot run.
    pub unsupported: usize,
    /// Error over bound of the worst cell of those that passed.
    pub worst: f64,
    /// The smallest case that fails.
    pub failure: Option<Failure>,
}

/// The smallest case that fails.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Why it fails.
    pub reason: String,
    /// A row for the case list.
    pub row: String,
    /// The numbers that make it: `--replay kernel:1.0.7`.
    pub numbers: Vec<u32>,
    /// Elements of its inputs.
    pub elements: usize,
}

/// Numbers as they are written in a command.
pub(super) fn written(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}

/// Draws `count` cases of a kernel and shrinks the first that fails. `check` runs a case.
pub fn search(kernel: &str, draws: Draws, count: u32, seed: u64, check: impl Fn(&Case) -> Result<Outcome>) -> Found {
    let config = ProptestConfig {
        cases: count,
        failure_persistence: None,
        max_shrink_iters: SHRINKS,
        ..ProptestConfig::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    // Kernels draw different numbers from one seed.
    kernel.bytes().enumerate().for_each(|(i, b)| bytes[8 + i % 24] ^= b);
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let found = RefCell::new(Found::default());
    let known: RefCell<HashMap<Vec<u32>, TestCaseResult>> = RefCell::default();
    let test = |numbers: Vec<u32>| {
        let (drawn, taken) = Draw::listed(numbers).case(draws);
        if let Some(known) = known.borrow().get(&taken) {
            return known.clone();
        }
        let result = run(&drawn.case, &mut found.borrow_mut(), &check);
        known.borrow_mut().insert(taken, result.clone());
        result
    };
    let failure = match runner.run(&Numbers(draws), test) {
        Ok(()) => None,
        Err(TestError::Abort(reason)) => Some((reason, Vec::new())),
        Err(TestError::Fail(reason, numbers)) => Some((reason, numbers)),
    };
    let failure = failure.map(|(reason, numbers)| {
        let (drawn, numbers) = Draw::listed(numbers).case(draws);
        let elements = drawn.case.inputs.iter().map(|i| i.ty.elements()).sum();
        Failure { reason: reason.message().to_owned(), row: drawn.row, numbers, elements }
    });
    Found { failure, ..found.into_inner() }
}

fn run(case: &Case, found: &mut Found, check: &impl Fn(&Case) -> Result<Outcome>) -> TestCaseResult {
    found.ran += 1;
    match check(case) {
        Ok(Outcome::Pass(worst)) => found.worst = found.worst.max(worst.excess),
        Ok(Outcome::Unsupported(_)) => found.unsupported += 1,
        Ok(Outcome::Fail(reason)) => return Err(TestCaseError::fail(reason)),
        Err(error) => return Err(TestCaseError::fail(error.to_string())),
    }
    Ok(())
}

/// proptest's view of a kernel's draws: the numbers of a case.
struct Numbers(Draws);

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Numbers")
    }
}

impl Strategy for Numbers {
    type Tree = Shrink;
    type Value = Vec<u32>;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let (_, numbers) = Draw::random(runner.rng().next_u64()).case(self.0);
        Ok(Shrink { best: numbers.clone(), tried: numbers, ..Shrink::default() })
    }
}

/// Shrinks one number after the other, again and again until a pass over all of them changes nothing.
#[derive(Debug, Default)]
struct Shrink {
    /// The smallest numbers that failed.
    best: Vec<u32>,
    /// What runs now.
    tried: Vec<u32>,
    /// The number that is being made smaller.
    place: usize,
    /// What it may become, the last first; `None`: not begun.
    left: Option<Vec<u32>>,
    /// Whether this pass made any number smaller.
    better: bool,
}

/// Numbers below `number` worth a run, the last first: the first few, then half way, a quarter and so on, then the
/// neighbours. A number may stand for one of a list, and a fault may need a remainder, so halves alone get stuck.
fn smaller(number: u32) -> Vec<u32> {
    let halves = (1..32).map(|i| number >> i).take_while(|step| *step > 0);
    let near = 2..=16u32;
    let mut all: Vec<u32> = (0..9).chain(halves.chain(near).filter_map(|step| number.checked_sub(step))).collect();
    all.retain(|candidate| *candidate < number);
    all.reverse();
    all
}

impl Shrink {
    /// Goes to the next attempt; false when there is none.
    fn next(&mut self) -> bool {
        self.tried.clone_from(&self.best);
        loop {
            if self.place == self.best.len() {
                if !self.better {
                    return false;
                }
                (self.place, self.better) = (0, false);
            }
            let number = self.best[self.place];
            if let Some(candidate) = self.left.get_or_insert_with(|| smaller(number)).pop() {
                self.tried[self.place] = candidate;
                return true;
            }
            (self.place, self.left) = (self.place + 1, None);
        }
    }
}

impl ValueTree for Shrink {
    type Value = Vec<u32>;

    fn current(&self) -> Vec<u32> {
        self.tried.clone()
    }
    fn simplify(&mut self) -> bool {
        if self.tried != self.best {
            self.best.clone_from(&self.tried);
            (self.left, self.better) = (None, true);
        }
        self.next()
    }
    fn complicate(&mut self) -> bool {
        self.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Input;
    use crate::draw::{Drawn, row};
    use crate::run::Worst;
    use omma::kernels::Softmax;

    fn softmax(rows: usize, cols: usize) -> Case {
        Case::new(format!("{rows}x{cols}"), Softmax::default(), vec![Input::f32(&[rows, cols])])
    }

    fn draws(d: &mut Draw) -> Drawn {
        let (rows, cols) = (d.size(500), d.size(3000));
        row!(softmax(rows, cols))
    }

    fn fails_if(bad: impl Fn(usize, usize) -> bool) -> impl Fn(&Case) -> Result<Outcome> {
        move |case| {
            let shape = &case.inputs[0].ty.shape;
            let worst = Worst { excess: 0.5, cell: (String::new(), 0, 0), got: 0.0, want: 0.0, bound: 1.0 };
            Ok(if bad(shape[0], shape[1]) { Outcome::Fail("planted".into()) } else { Outcome::Pass(worst) })
        }
    }

    #[test]
    fn a_failure_shrinks_to_the_smallest_case() {
        let found = search("softmax", draws, 200, 1, fails_if(|rows, cols| rows > 2 && cols > 64));
        let failure = found.failure.unwrap();
        assert_eq!(failure.numbers, [2, 64, 0, 0]);
        assert_eq!(failure.row, "softmax(3, 65).seeded(0)");
        assert_eq!((failure.reason.as_str(), failure.elements), ("planted", 195));
        assert_eq!(written(&failure.numbers), "2.64.0.0");
    }

    #[test]
    fn a_failure_of_few_sizes_shrinks_to_one_of_them() {
        let found = search("softmax", draws, 2000, 7, fails_if(|rows, cols| rows % 4 == 3 && cols % 8 == 5));
        let failure = found.failure.unwrap();
        assert!(failure.row.starts_with("softmax(3, 5)"), "{}", failure.row);
    }

    #[test]
    fn the_same_seed_draws_the_same_cases() {
        let first = search("softmax", draws, 20, 3, fails_if(|_, _| false));
        let again = search("softmax", draws, 20, 3, fails_if(|_, _| false));
        assert_eq!((first.ran, first.worst), (again.ran, again.worst));
        assert!(first.failure.is_none() && first.ran > 15, "{first:?}");
        let numbers = |kernel| search(kernel, draws, 1, 3, fails_if(|_, _| true)).ran;
        assert!(numbers("softmax") > 0);
    }

    #[test]
    fn a_panic_of_an_oracle_is_a_failure() {
        let found = search("softmax", draws, 1, 3, |_| panic!("the oracle gave up"));
        assert!(found.failure.unwrap().reason.contains("gave up"));
    }
}
