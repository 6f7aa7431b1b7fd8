//! The pure modules import no I/O, and `unsafe` stays in `sys`.

use std::fs;
use std::path::{Path, PathBuf};

const PURE: &[&str] = &["types", "property", "wire", "encap", "lookup", "offload", "protocol", "datapath"];

/// What looks like I/O by its name and is arithmetic.
const ARITHMETIC: &str = "crate::sys::vector";

/// What a pure module may not name.
const IMPURE: &[&str] = &[
    "crate::control",
    "crate::device",
    "crate::engine",
    "crate::netlink",
    "crate::socket",
    "crate::sys",
    "std::fs",
    "std::io",
    "std::os",
    "std::process",
    "std::thread",
    "std::time",
    "UdpSocket",
    "UnixStream",
    "libc::",
    "nix::",
    "netlink_",
    "socket2::",
    "tracing::",
];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The lines of a file that are code, without its tests.
fn code(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().take_while(|line| !line.contains("#[cfg(test)]"));
    lines.filter(|line| !line.trim_start().starts_with("//")).map(str::to_owned).collect()
}

#[test]
fn pure_modules_name_nothing_that_does_io() {
    let files: Vec<_> = PURE.iter().flat_map(|module| sources(&src().join(module))).collect();
    assert!(files.len() > PURE.len(), "the pure modules were not found");
    for path in files {
        for line in code(&path) {
            let doubtful = line.replace(ARITHMETIC, "");
            let named = IMPURE.iter().find(|word| doubtful.contains(**word));
            assert_eq!(named, None, "{}: {line}", path.display());
        }
    }
}

#[test]
fn unsafe_code_is_in_sys_alone() {
    for path in sources(&src()) {
        let inside = path.strip_prefix(src()).unwrap().starts_with("sys");
        let used = code(&path).iter().any(|line| line.split_whitespace().any(|word| word == "unsafe"));
        assert!(inside || !used, "{}", path.display());
    }
}
