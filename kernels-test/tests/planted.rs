//! Every planted fault is caught, and its report names the kernel or the file.

use kernels_test::planted::{Caught, FAULTS};
use omma::gpu::{Device, OpenOptions};

#[test]
fn planted_faults_are_caught() {
    let device = pollster::block_on(Device::open(&OpenOptions::default())).unwrap();
    for fault in FAULTS {
        let report = pollster::block_on(fault.hunt(&device)).unwrap();
        let report = report.unwrap_or_else(|| panic!("nothing noticed {}", fault.name));
        println!("{}: {report}", fault.name);
        match fault.caught {
            Caught::ByRun => assert!(report.starts_with(fault.kernel), "{}: {report}", fault.name),
            Caught::ByLint(lint, _) => assert!(report.contains(lint.name()), "{}: {report}", fault.name),
        }
    }
}
