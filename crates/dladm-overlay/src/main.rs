//! The program `dladm`, which is all in the library, where the manual finds its command line.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    dladm_overlay::main()
}
