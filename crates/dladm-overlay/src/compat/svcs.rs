//! illumos's `svcs` in small: whether the two daemons are online, and since when.
//!
//! A daemon is online when it answers a connection. It has been since its socket was made, which it does when it
//! starts; the time is shown in the local time zone.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use overlay_core::control::{Client, Daemon, Paths};

/// Shows the state of the overlay network's services, as svcs(1) of illumos does.
#[derive(Debug, Parser)]
#[command(name = "svcs", version, after_help = "Example:\n    svcs varpd")]
struct Options {
    /// Leave out the line with the names of the columns.
    #[arg(short = 'H')]
    no_header: bool,
    /// Services, like varpd, network/varpd or svc:/network/varpd:default; all of them when none is named.
    #[arg(value_name = "FMRI")]
    patterns: Vec<String>,
}

/// A service and the names that it goes by.
struct Service {
    daemon: Daemon,
    names: &'static [&'static str],
}

const SERVICES: [Service; 2] = [
    // In illumos the driver is part of the kernel and no service.
    Service { daemon: Daemon::Overlayd, names: &["overlay", "overlayd"] },
    Service { daemon: Daemon::Varpd, names: &["varpd"] },
];

impl Service {
    fn fmri(&self) -> String {
        format!("svc:/network/{}:default", self.names[0])
    }

    /// Whether a pattern means it: an FMRI, whole or without its scheme, category or instance (smf(7)).
    fn is(&self, pattern: &str) -> bool {
        let name = pattern.strip_prefix("svc:/").unwrap_or(pattern);
        let name = name.strip_prefix("network/").unwrap_or(name);
        self.names.contains(&name.strip_suffix(":default").unwrap_or(name))
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let paths = Paths::resolve(None, None);
    match run(&options, &paths, &mut io::stdout().lock(), &mut io::stderr().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Who closes a pipe has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell it to when this fails.
            let _ = writeln!(io::stderr().lock(), "svcs: cannot write: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the services; whether every pattern meant one.
fn run(options: &Options, paths: &Paths, out: &mut impl Write, err: &mut impl Write) -> io::Result<bool> {
    let unknown = |pattern: &&String| !SERVICES.iter().any(|service| service.is(pattern));
    let unknown = options.patterns.iter().filter(unknown).collect::<Vec<_>>();
    for pattern in &unknown {
        writeln!(err, "svcs: Pattern '{pattern}' doesn't match any instances")?;
    }
    let meant = |service: &&Service| {
        options.patterns.is_empty() || options.patterns.iter().any(|pattern| service.is(pattern))
    };
    let shown = SERVICES.iter().filter(meant).collect::<Vec<_>>();
    if !shown.is_empty() && !options.no_header {
        line(out, "STATE", "STIME", "FMRI")?;
    }
    for service in shown {
        let (state, since) = state(paths, service.daemon);
        line(out, state, &since, &service.fmri())?;
    }
    out.flush()?;
    Ok(unknown.is_empty())
}

fn line(out: &mut impl Write, state: &str, since: &str, fmri: &str) -> io::Result<()> {
    writeln!(out, "{state:<14} {since:<8} {fmri}")
}

/// What a daemon's state is called, and since when it has it.
fn state(paths: &Paths, daemon: Daemon) -> (&'static str, String) {
    if Client::connect(paths, daemon, "svcs").is_err() {
        return ("offline", "-".to_owned());
    }
    let started = started(&paths.socket(daemon));
    let since = started.map(|started| stime(started, Timestamp::now(), &TimeZone::system()));
    ("online", since.unwrap_or_else(|| "-".to_owned()))
}

fn started(socket: &Path) -> Option<Timestamp> {
    fs::metadata(socket).ok()?.modified().ok()?.try_into().ok()
}

/// The time of day, or from a day on the month and the day, and from a year on the year (sprint_stime, svcs.c).
fn stime(started: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    const DAY: SignedDuration = SignedDuration::from_hours(24);
    const YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);
    let form = match now.duration_since(started) {
        age if age < DAY => "%H:%M:%S",
        age if age < YEAR => "%b_%d",
        _ => "%Y",
    };
    started.to_zoned_datetime(zone.clone()).strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use overlay_core::protocol::VERSION;

    use super::*;

    /// A run directory of a test's own, removed with it.
    struct Run {
        paths: Paths,
    }

    impl Run {
        fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name = format!("svcs-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let run: PathBuf = std::env::temp_dir().join(name);
            fs::create_dir_all(&run).unwrap();
            Self { paths: Paths { state: run.clone(), run } }
        }

        /// A daemon that greets whoever connects first.
        fn daemon(&self, daemon: Daemon) {
            let listener = UnixListener::bind(self.paths.socket(daemon)).unwrap();
            thread::spawn(move || {
                let (stream, _) = listener.accept().unwrap();
                BufReader::new(&stream).read_line(&mut String::new()).unwrap();
                let name = daemon.program();
                writeln!(&stream, "{{\"protocol\":{VERSION},\"program\":\"{name}\"}}").unwrap();
            });
        }

        /// Whether every pattern meant a service, and what is printed.
        fn svcs(&self, words: &[&str]) -> (bool, String, String) {
            let options = Options::try_parse_from([&["svcs"], words].concat()).unwrap();
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let known = run(&options, &self.paths, &mut out, &mut err).unwrap();
            (known, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
        }
    }

    impl Drop for Run {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.paths.run);
        }
    }

    #[test]
    fn a_daemon_that_answers_is_online_since_its_socket_is_there() {
        let run = Run::new();
        run.daemon(Daemon::Varpd);
        let started = started(&run.paths.socket(Daemon::Varpd)).unwrap();
        let (known, out, err) = run.svcs(&["varpd"]);
        let time = stime(started, started, &TimeZone::system());
        let expected = format!(
            "STATE          STIME    FMRI\n\
             online         {time} svc:/network/varpd:default\n"
        );
        assert_eq!((known, out, err), (true, expected, String::new()));
    }

    #[test]
    fn daemons_that_do_not_run_are_offline() {
        let run = Run::new();
        // A socket that nobody listens on any more.
        drop(UnixListener::bind(run.paths.socket(Daemon::Varpd)).unwrap());
        assert_eq!(
            run.svcs(&["-H"]).1,
            "offline        -        svc:/network/overlay:default\n\
             offline        -        svc:/network/varpd:default\n"
        );
    }

    #[test]
    fn a_service_goes_by_several_names_and_is_shown_once() {
        let run = Run::new();
        let names =
            ["varpd", "network/varpd", "svc:/network/varpd", "svc:/network/varpd:default", "varpd:default"];
        let (known, out, _) = run.svcs(&[&["-H"], names.as_slice()].concat());
        assert_eq!((known, out.as_str()), (true, "offline        -        svc:/network/varpd:default\n"));
        for name in ["overlay", "overlayd", "svc:/network/overlay:default"] {
            assert!(run.svcs(&["-H", name]).1.ends_with("svc:/network/overlay:default\n"), "{name}");
        }
    }

    #[test]
    fn an_unknown_pattern_is_named_and_the_others_are_shown() {
        let run = Run::new();
        let told = "svcs: Pattern 'x' doesn't match any instances\n".to_owned();
        assert_eq!(run.svcs(&["x"]), (false, String::new(), told.clone()));
        let (known, out, err) = run.svcs(&["x", "varpd"]);
        assert!(!known && out.contains("svc:/network/varpd:default") && err == told);
    }

    #[test]
    fn a_time_is_shown_as_coarsely_as_it_is_old() {
        let started: Timestamp = "2014-07-14T12:03:07Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let after = |hours| stime(started, started + SignedDuration::from_hours(hours), &zone);
        assert_eq!((after(0), after(23)), ("14:03:07".into(), "14:03:07".into()));
        assert_eq!((after(24), after(24 * 365)), ("Jul_14".into(), "2014".into()));
        // A clock that was set back.
        assert_eq!(after(-1), "14:03:07");
    }
}
