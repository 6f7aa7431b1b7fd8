use std::env;
use std::process::{Command, Stdio};

use super::works::COUNTED;

/// The instructions of a process of this program that runs a work so many times.
///
/// # Panics
/// valgrind is not installed, or the work fails.
pub(super) fn count(name: &str, times: u64) -> u64 {
    let program = env::current_exe().expect("the path of this program");
    let mut command = Command::new("valgrind");
    // The preparation is not the same twice: tables of addresses are hashed with a secret of the process.
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(format!("--toggle-collect={COUNTED}"));
    command.arg(program).args(["micro", name, &times.to_string()]);
    let output = command.stdin(Stdio::null()).output().expect("valgrind is installed");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "'{name}' fails under valgrind:\n{told}");
    let count = collected(&told).filter(|count| *count > 0);
    count.unwrap_or_else(|| panic!("valgrind has counted nothing:\n{told}"))
}

/// The instructions that callgrind says it has seen (Valgrind manual, section 6).
fn collected(told: &str) -> Option<u64> {
    let line = told.lines().find_map(|line| line.split_once("Collected : "))?;
    line.1.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_among_what_is_told() {
        let told = "==7== Callgrind, a call-graph generating cache profiler\n==7== Events    : Ir\n\
                    ==7== Collected : 2187498\n==7== \n==7== I   refs:      2,187,498\n";
        assert_eq!((collected(told), collected("==7== Events    : Ir\n")), (Some(2_187_498), None));
    }
}
