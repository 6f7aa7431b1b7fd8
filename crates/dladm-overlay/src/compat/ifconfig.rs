//! illumos's `ifconfig` in small, over netlink: for the sessions, scripts and fingers that know it.
//!
//! A command line is read and checked as a whole (`words`), then carried out step by step (`interface`) or, when it
//! asks for nothing, answered with what the interface is (`show`).
#![forbid(unsafe_code)]

mod interface;
mod show;
mod words;

use std::env;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use overlay_core::netlink::{Netlink, NetlinkError};

use interface::{Interface, StepError};
use words::Order;

const USAGE: &str = "\
usage: ifconfig INTERFACE [inet | inet6] [plumb] [unplumb] [up] [down]
                [ADDRESS/PREFIX | ADDRESS netmask MASK] [mtu OCTETS]
";
const HELP: &str = "
Words are carried out in their order, after all have been checked. An address takes the
place of the earlier ones of its family; IPv6 addresses stand after inet6. An interface
with no words after it is shown.

Example:
    ifconfig foo0 plumb 192.168.23.1/24 up
    ifconfig foo0 inet6 plumb 2001:db8::1/64 up
    ifconfig foo0
";

/// Why a command line did nothing, or not all.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Not a command line at all.
    #[error("{USAGE}")]
    Usage,
    /// What could not be done to an interface, why, and what to do about it.
    #[error("ifconfig: {what}: {why}\n{}", hint.as_ref().map(|hint| format!("{hint}\n")).unwrap_or_default())]
    Interface { what: String, why: String, hint: Option<String> },
    /// The output has nowhere to go.
    #[error("ifconfig: cannot write: {0}\n")]
    Output(#[from] io::Error),
}

impl Failure {
    fn of(what: &str, why: impl ToString, hint: Option<String>) -> Self {
        Self::Interface { what: what.to_owned(), why: why.to_string(), hint }
    }

    fn of_kernel(what: &str, error: &NetlinkError) -> Self {
        let hint = error.is_denied().then(|| "changing an interface needs root's rights".to_owned());
        Self::of(what, error, hint)
    }

    const fn status(&self) -> u8 {
        if matches!(self, Self::Usage) { 2 } else { 1 }
    }
}

fn main() -> ExitCode {
    let words = env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>();
    match run(&words, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        // Who closes a pipe has read enough.
        Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing is left to tell it to when this fails.
            let _ = write!(io::stderr().lock(), "{failure}");
            failure.status().into()
        }
    }
}

fn run(words: &[String], out: &mut impl Write) -> Result<(), Failure> {
    match words {
        [word, ..] if matches!(word.as_str(), "-h" | "-?" | "--help") => {
            write!(out, "{USAGE}{HELP}")?;
        }
        [interface, words @ ..] if !interface.starts_with('-') && !interface.is_empty() => {
            let order =
                words::parse(interface, words).map_err(|error| Failure::of(interface, error, None))?;
            out.write_all(follow(&order)?.as_bytes())?;
        }
        _ => return Err(Failure::Usage),
    }
    out.flush()?;
    Ok(())
}

/// Does what an order says; what there is to show.
fn follow(order: &Order) -> Result<String, Failure> {
    let name = &order.interface;
    let kernel = |error: NetlinkError| Failure::of_kernel(name, &error);
    let mut netlink = Netlink::open().map_err(kernel)?;
    let device = netlink.device(name).map_err(kernel)?.ok_or_else(|| no_such_interface(name))?;
    if order.steps.is_empty() {
        let addresses = netlink.addresses(device.index).map_err(kernel)?;
        return Ok(show::render(&device, &addresses, order.family));
    }
    let mut interface = Interface { netlink: &mut netlink, device };
    match interface.carry_out(&order.steps) {
        Err(StepError::Kernel(error)) => Err(kernel(error)),
        Err(error) => Err(Failure::of(name, error, None)),
        Ok(()) => Ok(String::new()),
    }
}

fn no_such_interface(name: &str) -> Failure {
    let hint = format!("make it first: dladm create-vnic -l OVERLAY {name}");
    Failure::of(name, "no such interface", Some(hint))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::panic::resume_unwind;
    use std::process::{Command, id};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use nix::sched::{CloneFlags, setns};

    use super::*;

    /// A network namespace with a TAP device `foo0`, removed when it is dropped.
    struct Host {
        name: String,
    }

    impl Host {
        fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name = format!("ifconfig-{}-{}", id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let host = Self { name };
            assert!(Command::new("ip").args(["netns", "add", &host.name]).status().unwrap().success());
            host.ip("tuntap add dev foo0 mode tap");
            host
        }

        /// What an `ip` command prints in it.
        fn ip(&self, words: &str) -> String {
            let output = Command::new("ip").args(["-n", &self.name]).args(words.split(' ')).output().unwrap();
            assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        }

        /// Runs `ifconfig` on a thread that has entered it.
        fn ifconfig(&self, line: &str) -> Result<String, String> {
            let namespace = File::open(format!("/run/netns/{}", self.name)).unwrap();
            let words = line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let entered = thread::spawn(move || {
                setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
                let mut out = Vec::new();
                let outcome = run(&words, &mut out).map_err(|failure| failure.to_string());
                outcome.map(|()| String::from_utf8(out).unwrap())
            });
            entered.join().unwrap_or_else(|panic| resume_unwind(panic))
        }

        /// Whether the interface is up, and its addresses without link-local ones.
        fn state(&self) -> (bool, Vec<String>) {
            let up = self.ip("-o link show foo0").contains(",UP");
            let list = self.ip("-o address show dev foo0");
            let addresses = list.lines().filter_map(|line| line.split_whitespace().nth(3)).map(str::to_owned);
            (up, addresses.filter(|address| !address.starts_with("fe80")).collect())
        }
    }

    impl Drop for Host {
        fn drop(&mut self) {
            let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
        }
    }

    fn addresses<const N: usize>(texts: [&str; N]) -> Vec<String> {
        texts.map(str::to_owned).into()
    }

    #[test]
    fn plumb_up_brings_an_interface_up() {
        let host = Host::new();
        assert_eq!(host.ifconfig("foo0 plumb up"), Ok(String::new()));
        assert_eq!(host.state(), (true, vec![]));
        host.ifconfig("foo0 plumb down").unwrap();
        assert_eq!(host.state(), (false, vec![]));
    }

    #[test]
    fn an_interface_that_is_not_there_is_named_with_the_way_to_make_it() {
        assert_eq!(
            Host::new().ifconfig("foo1 plumb up"),
            Err("ifconfig: foo1: no such interface\nmake it first: dladm create-vnic -l OVERLAY foo1\n"
                .into())
        );
    }

    #[test]
    fn an_address_replaces_the_earlier_ones_of_its_family() {
        let host = Host::new();
        for line in ["10.1.0.1/24 inet6 2001:db8::1/64", "10.1.0.2/24", "10.1.0.2/24", "10.1.0.2/16 mtu 1400"]
        {
            host.ifconfig(&format!("foo0 {line}")).unwrap();
        }
        assert_eq!(host.state().1, addresses(["10.1.0.2/16", "2001:db8::1/64"]));
        host.ifconfig("foo0 inet6 2001:db8::1/48").unwrap();
        assert_eq!(host.state().1, addresses(["10.1.0.2/16", "2001:db8::1/48"]));
        assert!(host.ip("link show foo0").contains("mtu 1400"));
    }

    #[test]
    fn a_refused_address_leaves_the_earlier_one() {
        let host = Host::new();
        host.ifconfig("foo0 inet6 2001:db8::1/64").unwrap();
        // IPv6 takes no MTU under 1280, and then no address.
        host.ifconfig("foo0 inet 10.0.0.1/8 mtu 1279").unwrap();
        assert!(host.ifconfig("foo0 inet6 2001:db8::2/64").is_err());
        assert_eq!(host.state().1, addresses(["10.0.0.1/8"]));
        // The kernel refuses a loopback address on any device but lo.
        host.ifconfig("foo0 mtu 1400 inet6 2001:db8::1/64").unwrap();
        assert!(host.ifconfig("foo0 inet6 ::1/128").is_err());
        assert_eq!(host.state().1, addresses(["10.0.0.1/8", "2001:db8::1/64"]));
    }

    #[test]
    fn unplumb_takes_both_families_off_and_switches_off() {
        let host = Host::new();
        host.ifconfig("foo0 plumb up 10.0.0.1/8 inet6 2001:db8::1/64").unwrap();
        host.ifconfig("foo0 unplumb").unwrap();
        assert_eq!(host.state(), (false, vec![]));
    }

    #[test]
    fn unplumbing_one_family_leaves_the_other_in_use() {
        let host = Host::new();
        for (family, left) in [("inet6", "10.0.0.1/8"), ("inet", "2001:db8::1/64")] {
            host.ifconfig("foo0 up 10.0.0.1/8 inet6 2001:db8::1/64").unwrap();
            host.ifconfig(&format!("foo0 {family} unplumb")).unwrap();
            assert_eq!(host.state(), (true, addresses([left])), "{family}");
        }
        host.ifconfig("foo0 inet6 unplumb").unwrap();
        assert_eq!(host.state(), (false, vec![]));
    }

    #[test]
    fn bad_input_changes_nothing() {
        let host = Host::new();
        let before = (host.state(), host.ip("link show foo0"));
        for words in
            ["up 10.0.0.1/8 upp", "up 2001:db8::1/64", "10.0.0.1/8 mtu 65535", "up mtu 67", "up 10.0.0.1"]
        {
            let told = host.ifconfig(&format!("foo0 {words}")).unwrap_err();
            assert!(told.starts_with("ifconfig: foo0: ") && told.lines().count() == 1, "{told}");
            assert_eq!((host.state(), host.ip("link show foo0")), before, "{words}");
        }
    }

    #[test]
    fn an_interface_alone_is_shown() {
        let host = Host::new();
        host.ifconfig("foo0 10.0.0.1/8 up").unwrap();
        let shown = host.ifconfig("foo0").unwrap();
        assert!(shown.contains("\tinet 10.0.0.1 netmask ff000000 broadcast 10.255.255.255\n"), "{shown}");
        assert!(shown.starts_with("foo0: flags=") && shown.contains("<UP,BROADCAST,"), "{shown}");
    }

    #[test]
    fn no_words_and_options_show_the_usage() {
        for words in [vec![], vec!["-a".to_owned()], vec![String::new()]] {
            let failure = run(&words, &mut Vec::new()).unwrap_err();
            assert_eq!((failure.status(), failure.to_string().as_str()), (2, USAGE), "{words:?}");
        }
        let mut out = Vec::new();
        run(&["--help".to_owned()], &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().contains("Example:"));
    }
}
