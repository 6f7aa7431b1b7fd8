use std::io;
use std::time::Duration;

use overlay_core::control::{Client, ClientError, Daemon, Paths};
use overlay_core::protocol::{
    Change, Event, InstanceInfo, LinkInfo, LinkPropertyInfo, MuxInfo, OverlayInfo, PluginInfo, Request,
    Response, StoredLink, TargetInfo,
};
use overlay_core::types::{LinkId, LinkName};

/// The two daemons of a host, each asked one thing at a time.
pub(crate) trait Daemons {
    /// Makes a request to one of them and waits for its answer.
    fn ask(&mut self, daemon: Daemon, request: Request) -> Result<Response, ClientError>;

    /// Waits for what overlayd tells one that watches; none when nothing comes in this time.
    fn next_change(&mut self, patience: Duration) -> Result<Option<Change>, ClientError>;

    /// overlayd's encapsulation plugins.
    fn encaps(&mut self) -> Result<Vec<PluginInfo>, ClientError> {
        match self.ask(Daemon::Overlayd, Request::Encaps)? {
            Response::Plugins(plugins) => Ok(plugins),
            _ => Err(unexpected(Daemon::Overlayd)),
        }
    }

    /// varpd's search plugins.
    fn searches(&mut self) -> Result<Vec<PluginInfo>, ClientError> {
        match self.ask(Daemon::Varpd, Request::Plugins)? {
            Response::Plugins(plugins) => Ok(plugins),
            _ => Err(unexpected(Daemon::Varpd)),
        }
    }

    /// Every overlay.
    fn overlays(&mut self) -> Result<Vec<OverlayInfo>, ClientError> {
        match self.ask(Daemon::Overlayd, Request::Overlays)? {
            Response::Overlays(overlays) => Ok(overlays),
            _ => Err(unexpected(Daemon::Overlayd)),
        }
    }

    /// Every instance of a search plugin.
    fn instances(&mut self) -> Result<Vec<InstanceInfo>, ClientError> {
        match self.ask(Daemon::Varpd, Request::Instances)? {
            Response::Instances(instances) => Ok(instances),
            _ => Err(unexpected(Daemon::Varpd)),
        }
    }

    /// Every link.
    fn links(&mut self) -> Result<Vec<LinkInfo>, ClientError> {
        match self.ask(Daemon::Overlayd, Request::Links)? {
            Response::Links(links) => Ok(links),
            _ => Err(unexpected(Daemon::Overlayd)),
        }
    }

    /// The link properties of every link.
    fn link_properties(&mut self) -> Result<Vec<LinkPropertyInfo>, ClientError> {
        match self.ask(Daemon::Overlayd, Request::LinkProperties)? {
            Response::LinkProperties(properties) => Ok(properties),
            _ => Err(unexpected(Daemon::Overlayd)),
        }
    }

    /// What is stored of every link.
    fn stored_links(&mut self) -> Result<Vec<StoredLink>, ClientError> {
        match self.ask(Daemon::Overlayd, Request::StoredLinks)? {
            Response::StoredLinks(links) => Ok(links),
            _ => Err(unexpected(Daemon::Overlayd)),
        }
    }

    /// The underlay sockets.
    fn muxes(&mut self) -> Result<Vec<MuxInfo>, ClientError> {
        match self.ask(Daemon::Overlayd, Request::Muxes)? {
            Response::Muxes(muxes) => Ok(muxes),
            _ => Err(unexpected(Daemon::Overlayd)),
        }
    }

    /// Every entry of an overlay's target table, by address.
    fn targets(&mut self, overlay: &LinkName) -> Result<Vec<TargetInfo>, ClientError> {
        let (mut targets, mut next) = (Vec::new(), Some(0));
        while let Some(page) = next {
            match self.ask(Daemon::Overlayd, Request::Targets { overlay: overlay.clone(), page })? {
                // A page that is no later one would come again and again.
                Response::Targets(answer) if answer.next.is_none_or(|next| next > page) => {
                    targets.extend(answer.targets);
                    next = answer.next;
                }
                _ => return Err(unexpected(Daemon::Overlayd)),
            }
        }
        targets.sort_by_key(|target| target.mac);
        // An entry can move to the next page while this one is read.
        targets.dedup_by_key(|target| target.mac);
        Ok(targets)
    }

    /// Makes a request that is answered with nothing but that it is done.
    fn change(&mut self, daemon: Daemon, request: Request) -> Result<(), ClientError> {
        match self.ask(daemon, request)? {
            Response::Done => Ok(()),
            _ => Err(unexpected(daemon)),
        }
    }

    /// Makes a request that is answered with nothing but that it is done, or what may be wrong with the outcome.
    fn change_warned(&mut self, request: Request) -> Result<Vec<String>, ClientError> {
        match self.ask(Daemon::Overlayd, request)? {
            Response::Done => Ok(Vec::new()),
            Response::Warned(warnings) => Ok(warnings),
            _ => Err(unexpected(Daemon::Overlayd)),
        }
    }

    /// Makes a request that overlayd answers with the link it was about.
    fn change_link(&mut self, request: Request) -> Result<LinkId, ClientError> {
        match self.ask(Daemon::Overlayd, request)? {
            Response::Link(link) => Ok(link),
            _ => Err(unexpected(Daemon::Overlayd)),
        }
    }

    /// Makes a request that varpd answers with the number of the instance that it made.
    fn create_instance(&mut self, request: Request) -> Result<u32, ClientError> {
        match self.ask(Daemon::Varpd, request)? {
            Response::Instance(instance) => Ok(instance),
            _ => Err(unexpected(Daemon::Varpd)),
        }
    }
}

fn unexpected(daemon: Daemon) -> ClientError {
    ClientError::Lost { daemon, error: io::Error::other("its answer is to another question") }
}

/// The daemons behind their control sockets, connected to when first asked.
#[derive(Debug)]
pub(crate) struct Sockets {
    paths: Paths,
    overlayd: Option<Client>,
    varpd: Option<Client>,
}

impl Sockets {
    /// Those of a host.
    pub(crate) const fn new(paths: Paths) -> Self {
        Self { paths, overlayd: None, varpd: None }
    }
}

impl Daemons for Sockets {
    fn ask(&mut self, daemon: Daemon, request: Request) -> Result<Response, ClientError> {
        let slot = match daemon {
            Daemon::Overlayd => &mut self.overlayd,
            Daemon::Varpd => &mut self.varpd,
        };
        let client = match slot {
            Some(client) => client,
            None => slot.insert(Client::connect(&self.paths, daemon, "dladm")?),
        };
        let outcome = client.call(request);
        if matches!(outcome, Err(ClientError::Lost { .. })) {
            // The daemon may be back already; what is to be undone is asked on a new connection.
            *slot = None;
        }
        outcome
    }

    fn next_change(&mut self, patience: Duration) -> Result<Option<Change>, ClientError> {
        let Some(client) = &mut self.overlayd else {
            return Err(ClientError::Lost {
                daemon: Daemon::Overlayd,
                error: io::Error::other("it is not asked"),
            });
        };
        match client.next_event(patience) {
            Ok(Some(Event::Change(change))) => Ok(Some(change)),
            Ok(_) => Ok(None),
            Err(error) => {
                self.overlayd = None;
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::thread;

    use overlay_core::protocol::{Session, TargetPage};

    use super::*;

    /// Serves connections one after the other, each for one answer.
    fn serve(listener: &UnixListener, connections: usize) {
        for _ in 0..connections {
            let (mut stream, _) = listener.accept().unwrap();
            let mut session = Session::new("overlayd");
            let mut answered = false;
            while !answered {
                let mut octets = [0; 1024];
                let count = stream.read(&mut octets).unwrap();
                session.receive(&octets[..count]);
                if let Some(incoming) = session.next_request(|| false) {
                    session.reply(incoming.id, Ok(Response::Links(Vec::new())));
                    answered = true;
                }
                stream.write_all(session.output()).unwrap();
                session.written(session.output().len());
            }
        }
    }

    /// A daemon that answers everything with the same.
    struct Monotone(Response);

    impl Daemons for Monotone {
        fn ask(&mut self, _: Daemon, _: Request) -> Result<Response, ClientError> {
            Ok(self.0.clone())
        }

        fn next_change(&mut self, _: Duration) -> Result<Option<Change>, ClientError> {
            Ok(None)
        }
    }

    #[test]
    fn a_page_that_is_no_later_one_ends_a_table() {
        let mut daemons = Monotone(Response::Targets(TargetPage { targets: Vec::new(), next: Some(1) }));
        assert!(matches!(daemons.targets(&"red0".parse().unwrap()), Err(ClientError::Lost { .. })));
    }

    #[test]
    fn a_change_is_not_done_before_it_is_said_to_be() {
        let flush = || Request::FlushTargets { overlay: "red0".parse().unwrap() };
        assert!(Monotone(Response::Done).change(Daemon::Overlayd, flush()).is_ok());
        let outcome = Monotone(Response::Links(Vec::new())).change(Daemon::Overlayd, flush());
        assert!(matches!(outcome, Err(ClientError::Lost { daemon: Daemon::Overlayd, .. })));
    }

    #[test]
    fn a_daemon_that_went_away_is_connected_to_anew() {
        let run = std::env::temp_dir().join(format!("dladm-test-{}", std::process::id()));
        fs::create_dir_all(&run).unwrap();
        let paths = Paths { run: run.clone(), state: run.clone() };
        let listener = UnixListener::bind(paths.socket(Daemon::Overlayd)).unwrap();
        let server = thread::spawn(move || serve(&listener, 2));
        let mut sockets = Sockets::new(paths);
        assert!(sockets.links().unwrap().is_empty());
        assert!(matches!(sockets.links(), Err(ClientError::Lost { .. })));
        assert!(sockets.links().unwrap().is_empty());
        server.join().unwrap();
        assert!(matches!(sockets.instances(), Err(ClientError::NotRunning { .. })));
        fs::remove_dir_all(run).unwrap();
    }
}
