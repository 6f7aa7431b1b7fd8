//! The creation of an overlay as `dladm` does it, step by step, so that a test can stop between two of them.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use overlay_core::control::{Client, ClientError, Daemon};
use overlay_core::property::Assignment;
use overlay_core::protocol::{
    Call, Hello, InstanceInfo, OverlayInfo, Request, Response, Status, TargetInfo, VERSION,
};
use overlay_core::types::LinkId;

use crate::Host;

/// What `dladm create-overlay` asks for, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// overlayd makes the overlay.
    CreateOverlay,
    /// varpd makes its instance.
    CreateInstance,
    /// varpd starts it and associates it with overlayd.
    ActivateInstance,
    /// overlayd lets the overlay carry.
    ActivateOverlay,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::CreateOverlay, Self::CreateInstance, Self::ActivateInstance, Self::ActivateOverlay];

    /// Who carries it out.
    pub const fn daemon(self) -> Daemon {
        match self {
            Self::CreateOverlay | Self::ActivateOverlay => Daemon::Overlayd,
            Self::CreateInstance | Self::ActivateInstance => Daemon::Varpd,
        }
    }
}

/// An overlay that is to be created.
#[derive(Debug, Clone)]
pub struct Creation {
    /// Its name.
    pub name: &'static str,
    /// Its virtual network.
    pub vnetid: u32,
    /// Its search plugin.
    pub plugin: &'static str,
    /// The properties that overlayd is given.
    pub driver: Vec<Assignment>,
    /// The properties that varpd is given.
    pub search: Vec<Assignment>,
}

impl Creation {
    /// The request of a step; none where what it builds on is not there.
    pub fn request(&self, host: &Host, step: Step) -> Option<Request> {
        let name = self.name.parse().expect("a link name");
        let vnetid = self.vnetid.try_into().expect("a vnetid");
        match step {
            Step::CreateOverlay => Some(Request::CreateOverlay {
                name,
                encap: "vxlan".to_owned(),
                vnetid,
                search: self.plugin.to_owned(),
                properties: self.driver.clone(),
                temporary: false,
            }),
            Step::CreateInstance => Some(Request::CreateInstance {
                link: host.overlay(self.name)?.id,
                vnetid,
                plugin: self.plugin.to_owned(),
                properties: self.search.clone(),
                temporary: false,
            }),
            Step::ActivateInstance => {
                let instance = host.instance_of(host.overlay(self.name)?.id)?.instance;
                Some(Request::ActivateInstance { instance })
            }
            Step::ActivateOverlay => Some(Request::ActivateOverlay { name }),
        }
    }
}

impl Host {
    /// The outcome of one request.
    ///
    /// # Errors
    /// The daemon's refusal, or that there is no answer.
    pub fn try_ask(&self, daemon: Daemon, request: Request) -> Result<Response, ClientError> {
        self.note(&request);
        Client::connect(self.paths(), daemon, "test")?.call(request)
    }

    /// Sends a request, and does not wait for what comes of it.
    ///
    /// # Panics
    /// The daemon does not run.
    #[track_caller]
    pub fn launch(&self, daemon: Daemon, request: Request) -> UnixStream {
        self.note(&request);
        let mut stream = UnixStream::connect(self.paths().socket(daemon)).expect("a daemon that runs");
        let hello = Hello { protocol: VERSION, program: "test".to_owned() };
        let hello = serde_json::to_string(&hello).expect("a line");
        let call = serde_json::to_string(&Call { id: 1, request }).expect("a line");
        stream.write_all(format!("{hello}\n{call}\n").as_bytes()).expect("taken");
        stream
    }

    /// Takes every step of a creation.
    ///
    /// # Panics
    /// One is refused.
    #[track_caller]
    pub fn create(&self, creation: &Creation) {
        for step in Step::ALL {
            let request = creation.request(self, step).expect("what it builds on is there");
            self.ask(step.daemon(), request);
        }
    }

    fn note(&self, request: &Request) {
        if matches!(request, Request::DeleteOverlay { .. } | Request::DeleteVnic { .. }) {
            self.forget();
        }
    }

    /// An overlay as overlayd sees it, if it is there.
    #[track_caller]
    pub fn overlay(&self, name: &str) -> Option<OverlayInfo> {
        match self.ask(Daemon::Overlayd, Request::Overlays) {
            Response::Overlays(all) => all.into_iter().find(|one| one.name.as_str() == name),
            other => panic!("{other:?}"),
        }
    }

    /// What is wrong with an overlay: nothing when it is online, else its words; none where there is no such overlay.
    #[track_caller]
    pub fn trouble(&self, name: &str) -> Option<String> {
        self.overlay(name).map(|overlay| match overlay.status {
            Status::Online => String::new(),
            Status::Degraded(why) => why,
        })
    }

    /// Every instance of its varpd.
    #[track_caller]
    pub fn instances(&self) -> Vec<InstanceInfo> {
        match self.ask(Daemon::Varpd, Request::Instances) {
            Response::Instances(all) => all,
            other => panic!("{other:?}"),
        }
    }

    /// The instance of an overlay, if there is one.
    #[track_caller]
    pub fn instance_of(&self, link: LinkId) -> Option<InstanceInfo> {
        self.instances().into_iter().find(|one| one.link == link)
    }

    /// An overlay's whole target table.
    ///
    /// # Errors
    /// overlayd's refusal.
    pub fn all_targets(&self, overlay: &str) -> Result<Vec<TargetInfo>, ClientError> {
        let mut client = Client::connect(self.paths(), Daemon::Overlayd, "test")?;
        let (mut all, mut next) = (Vec::new(), Some(0));
        while let Some(page) = next {
            let overlay = overlay.parse().expect("a link name");
            let Response::Targets(found) = client.call(Request::Targets { overlay, page })? else {
                panic!("no page of targets");
            };
            all.extend(found.targets);
            next = found.next;
        }
        Ok(all)
    }

    /// Starts a daemon.
    #[track_caller]
    pub fn start_one(&mut self, daemon: Daemon) {
        match daemon {
            Daemon::Overlayd => self.start_overlayd(),
            Daemon::Varpd => self.start_varpd(),
        }
    }

    /// The files of all records of both daemons, kept and temporary, in order.
    pub fn record_files(&self) -> Vec<PathBuf> {
        let directories = [Daemon::Overlayd, Daemon::Varpd]
            .into_iter()
            .flat_map(|daemon| [false, true].map(|temporary| self.paths().records(daemon, temporary)));
        let entries = directories.filter_map(|directory| fs::read_dir(directory).ok()).flatten().flatten();
        // What DHCP has given is kept in a directory beside the records.
        let files = entries.map(|entry| entry.path()).filter(|path| path.is_file());
        let mut files: Vec<_> = files.collect();
        files.sort();
        files
    }
}
