//! Running child commands as named steps, and the summary at the end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Environment variables for a child.
pub type Env = Vec<(String, String)>;

/// Root of the repository. `cargo run` says where the package is; a binary run by hand knows where it was built.
pub fn root() -> PathBuf {
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().map(Path::to_path_buf).unwrap_or_else(|| ".".into())
}

/// The cargo that runs us, in the root of the repository.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    command.args(args).current_dir(root()).stdin(Stdio::null());
    // Not ours to hand down: cargo sets them anew for what it runs, and they would fool build scripts of children.
    command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_PKG_NAME").env_remove("CARGO_PKG_VERSION");
    command
}

/// Runs a command with its output on the terminal; whether it succeeded.
pub fn run(command: &mut Command) -> Result<bool, String> {
    eprintln!("$ {}", show(command));
    let status = command.status().map_err(|e| format!("{}: {e}", show(command)))?;
    Ok(status.success())
}

/// Runs a command and returns its standard output, or what it said on failure.
pub fn output(command: &mut Command) -> Result<String, String> {
    let out = command.stdin(Stdio::null()).output().map_err(|e| format!("{}: {e}", show(command)))?;
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&out.stderr);
    let last: Vec<&str> = said.lines().rev().take(3).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Err(format!("`{}` failed ({}): {}", show(command), out.status, last.join(" / ")))
}

/// The command as one would type it.
pub fn show(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let quoted = |arg: String| if arg.contains(char::is_whitespace) { format!("\"{arg}\"") } else { arg };
    let args = command.get_args().map(|a| quoted(a.to_string_lossy().into_owned()));
    std::iter::once(program).chain(args).collect::<Vec<_>>().join(" ")
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq)]
enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

/// The steps of one run of `test` or `check`. A failed step does not stop the later ones.
#[derive(Debug, Default)]
pub struct Steps {
    rows: Vec<(String, Outcome, Duration)>,
}

impl Steps {
    /// Runs `step`; `Ok(false)` and `Err` are failures.
    pub fn step(&mut self, name: &str, step: impl FnOnce() -> Result<bool, String>) -> bool {
        eprintln!("\n== {name}");
        let start = Instant::now();
        let outcome = match step() {
            Ok(true) => Outcome::Passed,
            Ok(false) => Outcome::Failed(String::new()),
            Err(reason) => {
                eprintln!("{reason}");
                Outcome::Failed(reason.lines().next().unwrap_or_default().into())
            }
        };
        let passed = outcome == Outcome::Passed;
        self.rows.push((name.into(), outcome, start.elapsed()));
        passed
    }
    /// A step that is a child process.
    pub fn command(&mut self, name: &str, mut command: Command) -> bool {
        self.step(name, || run(&mut command))
    }
    /// A step that could not be made here, and why.
    pub fn skip(&mut self, name: &str, reason: &str) {
        eprintln!("\n== {name}: skipped: {reason}");
        self.rows.push((name.into(), Outcome::Skipped(reason.into()), Duration::ZERO));
    }
    /// Prints a line a step and the closing line `N passed, N failed`; whether nothing failed.
    pub fn finish(self) -> bool {
        println!();
        for (name, outcome, time) in &self.rows {
            let (word, reason) = match outcome {
                Outcome::Passed => ("passed", ""),
                Outcome::Failed(reason) => ("FAILED", reason.as_str()),
                Outcome::Skipped(reason) => ("skipped", reason.as_str()),
            };
            println!(
                "{word:8} {:6.1} s  {name}{}{reason}",
                time.as_secs_f64(),
                if reason.is_empty() { "" } else { ": " }
            );
        }
        let count = |want: fn(&Outcome) -> bool| self.rows.iter().filter(|(_, o, _)| want(o)).count();
        let failed = count(|o| matches!(o, Outcome::Failed(_)));
        let skipped = count(|o| matches!(o, Outcome::Skipped(_)));
        let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
        println!("{} passed, {failed} failed{skipped}", count(|o| *o == Outcome::Passed));
        failed == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_step_fails_the_run() {
        let mut steps = Steps::default();
        assert!(steps.step("good", || Ok(true)));
        assert!(!steps.step("bad", || Err("broken".into())));
        assert!(!steps.step("no", || Ok(false)));
        assert!(!steps.finish());
    }

    #[test]
    fn skipped_is_not_failed() {
        let mut steps = Steps::default();
        steps.skip("later", "not here");
        assert!(steps.finish());
    }

    #[test]
    fn output_reports_what_the_child_said() {
        let error = output(Command::new("sh").args(["-c", "echo why >&2; exit 3"]));
        assert!(error.is_err_and(|e| e.contains("why")));
    }
}
