use std::env;
use std::path::{Path, PathBuf};

const RUN_DIR: &str = "/run/overlay";
const STATE_DIR: &str = "/var/lib/overlay";

/// Where units come to by `make install` and with packages (systemd.unit(5)), below the root.
const UNIT_DIRS: [&str; 3] = ["etc/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system"];

/// One of the two daemons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemon {
    /// The driver.
    Overlayd,
    /// The lookup daemon.
    Varpd,
}

impl Daemon {
    /// The name of its program.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Overlayd => "overlayd",
            Self::Varpd => "varpd",
        }
    }

    /// Whether systemd runs the machine of this root, and knows the daemon.
    fn has_unit(self, root: &Path) -> bool {
        let known = |dir: &&str| root.join(dir).join(self.unit()).exists();
        root.join("run/systemd/system").is_dir() && UNIT_DIRS.iter().any(known)
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Overlayd => "overlay.service",
            Self::Varpd => "varpd.service",
        }
    }

    const fn socket(self) -> &'static str {
        match self {
            Self::Overlayd => "overlay.sock",
            Self::Varpd => "varpd.sock",
        }
    }
}

/// How an administrator starts daemons, one of which was looked for at `socket`. systemd starts those that serve where the
/// system's own do, and no others.
pub fn how_to_start(daemons: &[Daemon], socket: &Path) -> String {
    how_to_start_below(Path::new("/"), daemons, socket)
}

fn how_to_start_below(root: &Path, daemons: &[Daemon], socket: &Path) -> String {
    let own = socket.parent() == Some(Path::new(RUN_DIR));
    let them = if daemons.len() == 1 { "it" } else { "them" };
    if own && daemons.iter().all(|daemon| daemon.has_unit(root)) {
        let units: Vec<_> = daemons.iter().map(|daemon| daemon.unit()).collect();
        format!("start {them} as root: systemctl start {}", units.join(" "))
    } else {
        let programs: Vec<_> = daemons.iter().map(|daemon| format!("{} &", daemon.program())).collect();
        format!("start {them} as root: {}", programs.join(" "))
    }
}

/// The directories of one host's daemons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Sockets and what ends with the next boot.
    pub run: PathBuf,
    /// What is kept over boots.
    pub state: PathBuf,
}

impl Paths {
    /// From the command line, else the environment (`OVERLAY_RUN_DIR`, `OVERLAY_STATE_DIR`), else the defaults.
    pub fn resolve(run: Option<PathBuf>, state: Option<PathBuf>) -> Self {
        let choose = |given: Option<PathBuf>, variable, default| {
            let set = || env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
            given.or_else(set).unwrap_or_else(|| PathBuf::from(default))
        };
        Self {
            run: choose(run, "OVERLAY_RUN_DIR", RUN_DIR),
            state: choose(state, "OVERLAY_STATE_DIR", STATE_DIR),
        }
    }

    /// The control socket of a daemon.
    pub fn socket(&self, daemon: Daemon) -> PathBuf {
        self.run.join(daemon.socket())
    }

    /// The directory with a daemon's records: kept ones, or those that end with the next boot.
    pub fn records(&self, daemon: Daemon, temporary: bool) -> PathBuf {
        let base: &Path = if temporary { &self.run } else { &self.state };
        base.join(daemon.program())
    }

    /// The directory with what DHCP has given to VNICs, which is overlayd's.
    pub fn leases(&self) -> PathBuf {
        self.records(Daemon::Overlayd, true).join("leases")
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::tests::Scratch;
    use super::*;
    use std::fs;

    #[test]
    fn units_count_where_systemd_runs_and_the_daemon_has_one() {
        let Scratch { path: root } = &Scratch::new();
        let units = root.join("usr/lib/systemd/system");
        fs::create_dir_all(&units).unwrap();
        fs::write(units.join("varpd.service"), "").unwrap();
        assert!(!Daemon::Varpd.has_unit(root), "systemd does not run");
        fs::create_dir_all(root.join("run/systemd/system")).unwrap();
        assert!(Daemon::Varpd.has_unit(root) && !Daemon::Overlayd.has_unit(root));
    }

    #[test]
    fn systemd_is_told_of_for_daemons_of_its_own_only() {
        let Scratch { path: root } = &Scratch::new();
        let units = root.join("etc/systemd/system");
        fs::create_dir_all(&units).unwrap();
        fs::create_dir_all(root.join("run/systemd/system")).unwrap();
        let hint = |daemons: &[Daemon], socket: &str| how_to_start_below(root, daemons, Path::new(socket));
        let (one, both) = (&[Daemon::Varpd][..], &[Daemon::Overlayd, Daemon::Varpd][..]);
        fs::write(units.join("varpd.service"), "").unwrap();
        assert_eq!(hint(both, "/run/overlay/overlay.sock"), "start them as root: overlayd & varpd &");
        fs::write(units.join("overlay.service"), "").unwrap();
        assert_eq!(hint(one, "/run/overlay/varpd.sock"), "start it as root: systemctl start varpd.service");
        let expected = "start them as root: systemctl start overlay.service varpd.service";
        assert_eq!(hint(both, "/run/overlay/overlay.sock"), expected);
        assert_eq!(hint(one, "/run/x/varpd.sock"), "start it as root: varpd &");
    }

    #[test]
    fn the_command_line_wins_over_the_defaults() {
        let paths = Paths::resolve(Some("/a".into()), Some("/b".into()));
        assert_eq!(paths.socket(Daemon::Overlayd), Path::new("/a/overlay.sock"));
        assert_eq!(paths.socket(Daemon::Varpd), Path::new("/a/varpd.sock"));
        assert_eq!(paths.records(Daemon::Varpd, false), Path::new("/b/varpd"));
        assert_eq!(paths.records(Daemon::Overlayd, true), Path::new("/a/overlayd"));
    }
}
