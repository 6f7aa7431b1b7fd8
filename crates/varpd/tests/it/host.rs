use std::sync::Arc;

use overlay_core::control::{Daemon, Paths};
use overlay_core::property::Assignment;
use overlay_core::protocol::{InstanceInfo, InstanceState, Request, Response};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, yield_now};
use varpd::daemon::{self, Place, Plugins, StartError};
use varpd::plugins::Plugin;

use crate::lines::{Client, soon};
use crate::scratch::Scratch;
use crate::twin::link;

/// A host's directories, with a varpd in them while it runs.
pub(crate) struct Host {
    pub(crate) scratch: Scratch,
    plugins: Vec<Arc<dyn Plugin>>,
    reload: Arc<Notify>,
    running: Option<Running>,
}

struct Running {
    task: JoinHandle<Result<(), StartError>>,
    stop: oneshot::Sender<()>,
}

impl Host {
    /// Without varpd.
    pub(crate) fn new() -> Self {
        Self::with(Vec::new())
    }

    /// Without varpd, which will have these plugins beside its own.
    pub(crate) fn with(plugins: Vec<Arc<dyn Plugin>>) -> Self {
        Self { scratch: Scratch::new(), plugins, reload: Arc::default(), running: None }
    }

    /// With varpd.
    pub(crate) async fn started() -> Self {
        let mut host = Self::new();
        host.start().await;
        host
    }

    pub(crate) fn paths(&self) -> Paths {
        self.scratch.paths()
    }

    pub(crate) async fn start(&mut self) {
        let place = Place::take(&self.paths()).unwrap();
        let plugins = Plugins { given: self.plugins.clone(), ..Plugins::default() };
        let reload = Arc::clone(&self.reload);
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = oneshot::channel();
        let task = tokio::spawn(async move {
            let ready = || ready.send(()).unwrap();
            daemon::run(place, plugins, ready, None, reload, async { drop(stopped.await) }).await
        });
        soon(is_ready).await.unwrap();
        self.running = Some(Running { task, stop });
    }

    /// The plugins that varpd has had; it has others from its next start on.
    pub(crate) fn replace_plugins(&mut self, plugins: Vec<Arc<dyn Plugin>>) -> Vec<Arc<dyn Plugin>> {
        std::mem::replace(&mut self.plugins, plugins)
    }

    /// As on SIGHUP.
    pub(crate) fn hangup(&self) {
        self.reload.notify_one();
    }

    pub(crate) async fn stop(&mut self) {
        let Running { task, stop } = self.running.take().unwrap();
        stop.send(()).unwrap();
        soon(task).await.unwrap().unwrap();
        assert!(!self.paths().socket(Daemon::Varpd).exists());
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) async fn crash(&mut self) {
        let Running { task, stop: _stop } = self.running.take().unwrap();
        task.abort();
        assert!(soon(task).await.unwrap_err().is_cancelled());
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.paths()).await
    }

    /// An instance for the overlay, not yet activated.
    pub(crate) async fn create(&self, id: u32) -> u32 {
        self.create_by(create(id)).await
    }

    pub(crate) async fn create_by(&self, request: Request) -> u32 {
        match self.client().await.call(request).await {
            Ok(Response::Instance(instance)) => instance,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn instances(&self) -> Vec<InstanceInfo> {
        match self.client().await.call(Request::Instances).await {
            Ok(Response::Instances(instances)) => instances,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until the instances have these numbers and states.
    pub(crate) async fn until(&self, expected: &[(u32, InstanceState)]) {
        let reached = async {
            loop {
                let instances = self.instances().await;
                let now = instances.iter().map(|instance| (instance.instance, instance.state));
                if now.eq(expected.iter().copied()) {
                    return;
                }
                yield_now().await;
            }
        };
        soon(reached).await;
    }
}

pub(crate) fn create(id: u32) -> Request {
    let properties =
        vec![Assignment::new("direct/dest_ip", "10.0.0.2"), Assignment::new("direct/dest_port", "4789")];
    create_of(id, "direct", properties)
}

pub(crate) fn create_of(id: u32, plugin: &str, properties: Vec<Assignment>) -> Request {
    Request::CreateInstance {
        link: link(id),
        vnetid: overlay_core::types::VnetId::new(23).unwrap(),
        plugin: plugin.into(),
        properties,
        temporary: false,
    }
}
