//! Kernels at the bench rows of the case lists: the same shapes and fills as `kernels-test perf`, in criterion's
//! statistics. On a software adapter the rows that the tests leave out as too large are left out here as well.

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use kernels_test::report::selected;
use kernels_test::run::Prepared;
use omma::gpu::{Device, OpenOptions};
use std::time::Duration;

fn kernels(c: &mut Criterion) {
    let device = match pollster::block_on(Device::open(&OpenOptions::default())) {
        Ok(device) => device,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    eprintln!("adapter: {}", device.title());
    let mut group = c.benchmark_group("kernels");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.warm_up_time(Duration::from_millis(50)).measurement_time(Duration::from_millis(300));
    for case in selected("", true) {
        if case.bench_only && device.caps().software {
            continue;
        }
        let prepared = match pollster::block_on(Prepared::new(&device, &case)) {
            Ok(prepared) => prepared,
            Err(error) => {
                eprintln!("{}/{} skipped: {error}", case.kernel.name(), case.name);
                continue;
            }
        };
        group.bench_function(format!("{}/{}", case.kernel.name(), case.name), |b| {
            b.iter(|| pollster::block_on(prepared.run(&device)).expect("the device runs the case"));
        });
    }
    group.finish();
}

criterion_group!(benches, kernels);
criterion_main!(benches);
