//! Writes the manual pages to the directory given, or else to `docs/man`.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let directory = env::args_os().nth(1).map_or_else(overlay_manual::directory, PathBuf::from);
    fs::create_dir_all(&directory)?;
    overlay_manual::pages().iter().try_for_each(|page| fs::write(directory.join(page.file()), page.roff()))
}
