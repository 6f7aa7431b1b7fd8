use std::fs;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The processor time that a process has used, in ticks of 10 ms.
///
/// # Panics
/// It does not run.
#[track_caller]
pub fn cpu_ticks(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process that runs");
    // The command's name, in parentheses, may contain blanks; utime and stime are fields 14 and 15 (proc(5)).
    let (_, fields) = text.rsplit_once(')').expect("a name in parentheses");
    let times = fields.split_whitespace().skip(11).take(2);
    times.map(|field| field.parse::<u64>().expect("a number of ticks")).sum()
}

/// The descriptors that a process has open.
///
/// # Panics
/// It does not run.
#[track_caller]
pub fn open_fds(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("a process that runs").count()
}

/// The memory that a process has in use, in KiB.
///
/// # Panics
/// It does not run.
#[track_caller]
pub fn resident_kib(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process that runs");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident size");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}

/// Lets this process open as many descriptors as the system allows it.
///
/// # Panics
/// The system refuses.
pub fn raise_fd_limit() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("the soft limit may be raised");
}
