//! A runner that stands, dies or computes wrongly is named with the case it was at, and the others get their verdicts.
//! The runners here are shell scripts that copy operands: `copy` is the kernel, whose output is its input.
#![cfg(unix)]

use kernels_test::drive::{Options, Verdict, drive};
use kernels_test::jobs::{Extras, Wanted, export};
use std::path::{Path, PathBuf};
use std::time::Duration;

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A folder with the cases of `copy`: how many shaders and jobs.
fn exported(name: &str) -> (Folder, usize, usize) {
    let folder = Folder(std::env::temp_dir().join(format!("omma-driven-{name}-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0).unwrap();
    let (shaders, jobs) = export("copy", Wanted::Jobs(Extras::default()), &folder.0).unwrap();
    assert!(shaders > 0 && jobs > 0);
    (folder, shaders, jobs)
}

/// What a script says and does for each shader and each job that is left.
fn script(folder: &Path, shaders: usize, jobs: usize) -> String {
    let mut lines = vec![format!("cd {}", folder.display())];
    for i in 0..shaders {
        lines.push(format!("echo '{{\"begin\":{{\"shader\":{i}}}}}'; echo '{{\"end\":[{{\"shader\":{i}}},null]}}'"));
    }
    for i in 0..jobs {
        let blob = format!("jobs/{i:04}");
        let half = std::fs::metadata(folder.join(&blob).with_extension("bin")).unwrap().len() / 2;
        lines.push(format!("echo '{{\"begin\":{{\"job\":{i}}}}}'"));
        lines.push(format!("head -c {half} {blob}.bin > {blob}.out; echo '{{\"end\":[{{\"job\":{i}}},null]}}'"));
    }
    lines.join("\n")
}

fn run(folder: &Path, script: String, resume: bool) -> Result<Verdict, omma::Error> {
    let runner = vec!["sh".into(), "-c".into(), script];
    drive(&Options { folder: folder.to_path_buf(), runner, limit: Duration::from_secs(2), resume })
}

/// Before the first job, unless it is known: this.
fn first(script: &str, what: &str) -> String {
    let begin = "echo '{\"begin\":{\"job\":0}}'";
    script.replacen(begin, &format!("grep -q '\"jobs\":\\[0' skip.json || {{ {begin}; {what}; }}\n{begin}"), 1)
}

#[test]
fn a_runner_that_computes_passes_and_is_not_asked_again() {
    let (folder, shaders, jobs) = exported("passes");
    let good = script(&folder.0, shaders, jobs);
    let verdict = run(&folder.0, good, false).unwrap();
    assert_eq!(verdict, Verdict { shaders: [shaders, 0, 0], jobs: [jobs, 0, 0] });
    let again = run(&folder.0, "exit 1".into(), true).unwrap();
    assert_eq!(again, verdict);
    assert!(run(&folder.0, "exit 1".into(), false).is_err(), "nothing is left out unless it was asked for");
}

#[test]
fn a_wrong_output_fails_and_is_run_again() {
    let (folder, shaders, jobs) = exported("wrong");
    let good = script(&folder.0, shaders, jobs);
    let wrong = good.replacen("jobs/0000.bin", "/dev/zero", 1);
    assert_eq!(run(&folder.0, wrong, false).unwrap().jobs, [jobs - 1, 1, 0]);
    assert_eq!(run(&folder.0, good, true).unwrap().jobs, [jobs, 0, 0]);
}

#[test]
fn a_runner_that_stands_or_dies_fails_one_case() {
    for (name, what) in [("stands", "exec sleep 60"), ("dies", "exit 3")] {
        let (folder, shaders, jobs) = exported(name);
        let verdict = run(&folder.0, first(&script(&folder.0, shaders, jobs), what), false).unwrap();
        assert_eq!(verdict, Verdict { shaders: [shaders, 0, 0], jobs: [jobs - 1, 1, 0] }, "{name}");
        assert!(!verdict.good());
    }
}

#[test]
fn a_runner_that_says_nonsense_is_an_error() {
    let (folder, shaders, jobs) = exported("nonsense");
    for script in ["echo hello", "true", "echo '{\"begin\":{\"job\":99}}'"] {
        assert!(run(&folder.0, script.into(), false).is_err(), "{script}");
    }
    assert!(shaders + jobs > 0);
}

#[test]
fn beyond_another_device_are_the_variants_that_it_is_not_given() {
    let folder = Folder(std::env::temp_dir().join(format!("omma-driven-beyond-{}", std::process::id())));
    let floor = Extras::default();
    let full = Extras { f16: true, ..floor };
    let mut jobs = [Wanted::Jobs(floor), Wanted::Jobs(full), Wanted::Beyond(full, floor)]
        .map(|wanted| export("layer_scale", wanted, &folder.0).unwrap().1);
    assert_eq!(jobs[0] + jobs[2], jobs[1], "{jobs:?}");
    jobs.sort_unstable();
    assert!(jobs[0] > 0 && jobs[1] < jobs[2], "{jobs:?}");
    assert_eq!(export("layer_scale", Wanted::Beyond(full, full), &folder.0).unwrap(), (0, 0));
}
