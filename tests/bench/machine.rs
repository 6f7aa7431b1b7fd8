use std::fs;
use std::process::Command;
use std::thread;

use nix::sys::utsname::uname;

/// What figures depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    /// The kernel's release.
    pub(crate) kernel: String,
    pub(crate) architecture: String,
    /// Processors that this process may use.
    pub(crate) processors: usize,
    /// The processors' name, as /proc/cpuinfo has it.
    pub(crate) processor: String,
    /// The version of Open vSwitch, where it is installed.
    pub(crate) ovs: Option<String>,
}

impl Machine {
    /// This one.
    ///
    /// # Panics
    /// The system does not tell its own name.
    pub(crate) fn facts() -> Self {
        let names = uname().expect("uname(2) fails for no reason that can hold here");
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let version = Command::new("ovs-vswitchd").arg("--version").env("PATH", "/usr/sbin:/sbin").output();
        let version = version.ok().and_then(|output| String::from_utf8(output.stdout).ok());
        Self {
            kernel: names.release().to_string_lossy().into_owned(),
            architecture: names.machine().to_string_lossy().into_owned(),
            processors: thread::available_parallelism().map_or(1, usize::from),
            processor: processor(&cpuinfo).unwrap_or("unknown").to_owned(),
            ovs: version.and_then(|text| text.lines().next().map(str::to_owned)),
        }
    }

    /// In one line.
    pub(crate) fn show(&self) -> String {
        format!("Linux {}, {} processors, {}", self.kernel, self.processors, self.processor)
    }
}

fn processor(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processors_name_is_found() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\n\nmodel name\t: another\n";
        assert_eq!((processor(text), processor("processor: 0\n")), (Some("Some CPU @ 2.00GHz"), None));
    }

    #[test]
    fn this_machine_has_a_kernel_and_processors() {
        let machine = Machine::facts();
        assert!(machine.kernel.contains('.') && machine.processors > 0, "{machine:?}");
    }
}
