use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::scratch::Scratch;

fn check(file: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_varpd"));
    command.arg("--check-plugin").arg(file).args(more);
    command.env_remove("RUST_LOG").env_remove("JOURNAL_STREAM").output().unwrap()
}

fn example() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/overlay-plugin-example.py")
}

#[test]
fn a_program_without_its_properties_fails_and_is_told_so() {
    let output = check(&example(), &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("ok       declares itself\n"), "{said}");
    let last = said.lines().last().unwrap();
    assert_eq!(
        last,
        "FAILED   takes the properties: required properties are missing: plugin/table (give them with -p)"
    );
}

#[test]
fn the_example_gets_one_line_for_each_check() {
    let scratch = Scratch::new();
    let table = scratch.paths().run.join("table");
    fs::write(&table, "2:8:20:0:0:1 10.0.0.2:4789\n").unwrap();
    let output = check(&example(), &["-p", &format!("table={}", table.display())]);
    let said = String::from_utf8(output.stdout).unwrap();
    let answered = "ok       answers 1000 questions that do not wait for each other";
    assert!(said.lines().any(|line| line == answered), "{said}");
    assert_eq!(said.lines().count(), 16, "{said}");
}

#[test]
fn properties_are_for_the_check_alone() {
    let output = Command::new(env!("CARGO_BIN_EXE_varpd")).args(["-p", "table=/t"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
