//! When memory runs out, when the work is cancelled, when the device goes away: a typed error, nothing lost.

mod support;

use omma::generate::Session;
use omma::gpu::{Cancel, Device, HostOptions};
use omma::graph::RunOptions;
use omma::{Error, wgpu};
use std::sync::Arc;
use support::*;

/// Steps of the failing allocation: few enough for a test, on no period of the allocations.
const STRIDE: u32 = 7;

fn out_of_memory(error: &Error) {
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
}

#[test]
fn every_load_that_runs_out_of_memory_gives_all_of_it_back() {
    let device = own_device(false);
    let golden = Golden::new("llava15_gqa", 0);
    let ledger = device.ledger();
    let mut failures = 0;
    for n in (0..).step_by(STRIDE as usize) {
        ledger.fail_after(Some(n));
        let loaded = pollster::block_on(golden.load(&device));
        ledger.fail_after(None);
        match loaded {
            Ok(_) => break,
            Err(error) => out_of_memory(&error),
        }
        assert_eq!(ledger.memory().live, 0, "after failure {n}");
        failures += 1;
    }
    assert!(failures > 3 && ledger.memory().live == 0);
}

#[test]
fn one_session_survives_every_failed_allocation_and_loses_nothing() {
    let device = own_device(false);
    let golden = Golden::new("llava15_gqa", 0);
    let ledger = device.ledger().clone();
    let model = pollster::block_on(golden.load(&device)).unwrap();
    let weights = ledger.memory().live;
    let mut failures = 0;
    // The same session again and again: what a failed attempt left behind must not spoil the next one.
    let mut survivor = Session::new(model.clone(), sizes());
    for n in (0..).step_by(STRIDE as usize) {
        let mut fresh = Session::new(model.clone(), sizes());
        let whole = async |session: &mut Session| {
            session.reset();
            encode(session, &golden).await?;
            answer(session, &golden, 2).await
        };
        ledger.fail_after(Some(n));
        let first = pollster::block_on(whole(&mut fresh));
        let again = pollster::block_on(whole(&mut survivor));
        ledger.fail_after(None);
        let Err(error) = first else { break };
        out_of_memory(&error);
        again.unwrap_err();
        failures += 1;
        if n % (4 * STRIDE) == 0 {
            let got = pollster::block_on(whole(&mut fresh)).unwrap();
            assert_eq!(got.ids, golden.generated()[..2], "after failure {n}");
        }
    }
    assert!(failures > 3);
    survivor.reset();
    pollster::block_on(encode(&mut survivor, &golden)).unwrap();
    check_answer(&golden, &pollster::block_on(answer(&mut survivor, &golden, 16)).unwrap());
    drop(survivor);
    assert_eq!(ledger.memory().live, weights, "sessions gave everything back");
    drop(model);
    assert_eq!(ledger.memory().live, 0);
}

#[test]
fn the_memory_limit_refuses_and_can_be_lifted() {
    let device = own_device(false);
    let golden = Golden::new("llama_gqa", 0);
    let ledger = device.ledger();
    ledger.set_limit(Some(100_000));
    match pollster::block_on(golden.load(&device)) {
        Err(Error::OutOfMemory { limit: Some(100_000), .. }) => (),
        other => panic!("{:?}", other.map(|_| ())),
    }
    assert_eq!(ledger.memory().live, 0);
    ledger.set_limit(None);
    let model = pollster::block_on(golden.load(&device)).unwrap();
    let mut session = Session::new(model, sizes());
    ledger.set_limit(Some(ledger.memory().live + 1000));
    out_of_memory(&pollster::block_on(answer(&mut session, &golden, 16)).unwrap_err());
    ledger.set_limit(None);
    check_answer(&golden, &pollster::block_on(answer(&mut session, &golden, 16)).unwrap());
}

#[test]
fn cancelled_work_can_be_done_again() {
    let device = own_device(false);
    let golden = Golden::new("llava15_gqa", 0);
    let model = pollster::block_on(golden.load(&device)).unwrap();
    let cancel = Cancel::default();
    let run = RunOptions { piece: 1, in_flight: 1, cancel: cancel.clone() };
    let mut session = Session::new(model, omma::generate::SessionOptions { run, ..sizes() });
    cancel.cancel();
    assert_eq!(pollster::block_on(encode(&mut session, &golden)), Err(Error::Cancelled));
    cancel.reset();
    pollster::block_on(encode(&mut session, &golden)).unwrap();
    // From another thread, somewhere between two of the prefill's pieces.
    let (mut cancelled, mut pause) = (0, 0);
    while pause < 40 && cancelled < 3 {
        let asks = cancel.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(pause));
            asks.cancel();
        });
        let result = pollster::block_on(answer(&mut session, &golden, 16));
        thread.join().unwrap();
        cancel.reset();
        if let Err(error) = result {
            assert_eq!(error, Error::Cancelled);
            cancelled += 1;
        }
        session.reset();
        pollster::block_on(encode(&mut session, &golden)).unwrap();
        pause += 5;
    }
    assert!(cancelled > 0);
    check_answer(&golden, &pollster::block_on(answer(&mut session, &golden, 16)).unwrap());
}

#[test]
fn more_steps_in_flight_than_readbacks_are_refused() {
    let device = own_device(false);
    let golden = Golden::new("llama_gqa", 0);
    let model = pollster::block_on(golden.load(&device)).unwrap();
    let mut session = Session::new(model, sizes());
    pollster::block_on(answer(&mut session, &golden, 1)).unwrap();
    let mut sent = 0;
    while pollster::block_on(session.decode()).is_ok() {
        sent += 1;
        assert!(sent < 100, "every step is taken");
    }
    let mut ids = vec![golden.generated()[0]];
    while let Some(step) = pollster::block_on(session.arrived()).unwrap() {
        ids.extend(step.ids);
    }
    assert_eq!(ids, golden.generated()[..=sent]);
    // Forgotten steps leave nothing behind.
    pollster::block_on(session.decode()).unwrap();
    session.reset();
    check_answer(&golden, &pollster::block_on(answer(&mut session, &golden, 16)).unwrap());
}

/// Everything that a session does gives [`Error::DeviceLost`] on a device that is gone.
fn lost(device: &Device, golden: &Golden, session: &mut Session) {
    let is_lost = |error: Error| assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
    // wgpu tells of a loss once the queue is empty: work that was still running may let one more encode in.
    is_lost(pollster::block_on(encode(session, golden)).and_then(|()| pollster::block_on(device.idle())).unwrap_err());
    if session.feature_rows() > 0 {
        is_lost(pollster::block_on(answer(session, golden, 16)).unwrap_err());
    }
    is_lost(pollster::block_on(golden.load(device)).map(|_| ()).unwrap_err());
    is_lost(pollster::block_on(device.idle()).unwrap_err());
}

#[test]
fn a_lost_device_is_an_error_and_a_new_one_works() {
    let golden = Golden::new("llava15_gqa", 0);
    // Lost at another moment each time: before anything, after encoding, in the middle of an answer.
    for moment in 0..3 {
        let device = own_device(false);
        let model = pollster::block_on(golden.load(&device)).unwrap();
        let mut session = Session::new(model, sizes());
        if moment > 0 {
            pollster::block_on(encode(&mut session, &golden)).unwrap();
        }
        if moment > 1 {
            pollster::block_on(answer(&mut session, &golden, 2)).unwrap();
            pollster::block_on(session.decode()).unwrap();
        }
        device.wgpu().destroy();
        if moment > 1 {
            // The step in flight either arrives or is lost.
            if let Err(error) = pollster::block_on(session.arrived()) {
                assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
            }
            assert!(matches!(pollster::block_on(session.decode()), Err(Error::DeviceLost { .. })));
            assert!(matches!(pollster::block_on(session.chosen(true)), Err(Error::DeviceLost { .. })));
        }
        lost(&device, &golden, &mut session);
    }
    let device = own_device(false);
    let model = pollster::block_on(golden.load(&device)).unwrap();
    let mut session = Session::new(model, sizes());
    pollster::block_on(encode(&mut session, &golden)).unwrap();
    check_answer(&golden, &pollster::block_on(answer(&mut session, &golden, 16)).unwrap());
}

#[test]
fn a_host_tells_that_its_device_is_lost() {
    let golden = Golden::new("llama_gqa", 0);
    let (raw, queue) = host_device(|_| (wgpu::Features::empty(), wgpu::Limits::default()));
    let device = Device::from_host(raw.clone(), queue, &HostOptions::default());
    let model = pollster::block_on(golden.load(&device)).unwrap();
    let mut session = Session::new(Arc::clone(&model), sizes());
    pollster::block_on(answer(&mut session, &golden, 2)).unwrap();
    let engine = device.clone();
    raw.set_device_lost_callback(move |_, reason| engine.mark_lost(&reason));
    raw.destroy();
    let error = pollster::block_on(session.chosen(true)).unwrap_err();
    assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
    assert!(pollster::block_on(session.decode()).is_err());
    assert!(matches!(device.check_lost(), Err(Error::DeviceLost { .. })));
}
