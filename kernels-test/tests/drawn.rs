//! Draws find planted faults, shrink them to a small case, and the line that they print makes that case again.

use kernels_test::cases::draws::draws;
use kernels_test::draw::{case_of, search};
use kernels_test::planted::FAULTS;
use kernels_test::run::{Outcome, check};
use omma::gpu::{Device, OpenOptions};

/// Faults by their names, and how many elements the inputs of the smallest case may have.
const SMALL: [(&str, usize); 5] = [
    // A gain of any width, and few rows.
    ("a wrong epsilon", 4),
    // One product of one row, one column and the last value of a tile of k.
    ("a tile that is short by one", 100),
    ("gate and up swapped", 3),
    // Three columns: the third is in no whole quad.
    ("a dropped tail column", 3),
    ("a causal mask that hides the query's own key", 60),
];

#[test]
fn planted_faults_are_drawn_and_shrink_to_small_cases() {
    let sound = pollster::block_on(Device::open(&OpenOptions::default())).unwrap();
    for (name, most) in SMALL {
        let fault = FAULTS.iter().find(|fault| fault.name == name).unwrap();
        let broken = fault.device(&sound).unwrap();
        let (kernel, strategy) = draws().find(|(kernel, _)| *kernel == fault.kernel).unwrap();
        let found = search(kernel, strategy, 200, 1, |case| pollster::block_on(check(&broken, case)));
        let failure = found.failure.unwrap_or_else(|| panic!("no draw of {} found {name}", found.ran));
        println!("{name}: {}\n    {} after {} runs", failure.row, failure.reason, found.ran);
        assert!(failure.elements <= most, "{name}: {} elements: {}", failure.elements, failure.row);
        let numbers: Vec<String> = failure.numbers.iter().map(u32::to_string).collect();
        let (_, again) = case_of(&format!("{kernel}:{}", numbers.join("."))).unwrap();
        assert_eq!(again.row, failure.row);
        let outcome = |device| pollster::block_on(check(device, &again.case)).unwrap();
        assert!(matches!(outcome(&broken), Outcome::Fail(_)), "{name}: the case passes when it is made again");
        assert!(matches!(outcome(&sound), Outcome::Pass(_)), "{name}: the case fails without the fault");
    }
}
