use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use overlay_core::control::ClientError;
use overlay_core::protocol::TargetInfo;
use overlay_core::types::{LinkName, MacAddr};

use super::happening::Happening;
use crate::daemons::Daemons;

/// How long from one look at the target tables to the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// A look takes no more than this share of the time, however large the tables are.
const SHARE: u32 = 4;

type Table = BTreeMap<Option<MacAddr>, TargetInfo>;

/// The target tables as they were last seen.
#[derive(Default)]
pub(super) struct Tables {
    seen: Option<BTreeMap<LinkName, Table>>,
    next: Option<Instant>,
}

impl Tables {
    /// How long until the next look; none when it is time.
    pub(super) fn time_left(&self, now: Instant) -> Option<Duration> {
        self.next.map(|next| next.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// Takes note of a look that took from `begun` to `now`; says how long it is until the next one.
    pub(super) fn looked(&mut self, begun: Instant, now: Instant) -> Duration {
        let pause = INTERVAL.max((now - begun) * SHARE);
        self.next = Some(now + pause);
        pause
    }

    /// What has changed since the last look; nothing at the first.
    pub(super) fn look(
        &mut self,
        daemons: &mut dyn Daemons,
        is_about: impl Fn(&LinkName) -> bool,
    ) -> Result<Vec<Happening>, ClientError> {
        let mut now = BTreeMap::new();
        let usable = daemons.overlays()?.into_iter().filter(|overlay| overlay.vnetid.is_some());
        for overlay in usable.map(|overlay| overlay.name).filter(|name| is_about(name)) {
            match daemons.targets(&overlay) {
                Ok(targets) => drop(now.insert(overlay, by_address(targets))),
                // It has been deleted in between.
                Err(ClientError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let Some(before) = self.seen.replace(now) else { return Ok(Vec::new()) };
        let now = self.seen.iter().flatten();
        let none = Table::new();
        Ok(now.flat_map(|(link, table)| changes(link, before.get(link).unwrap_or(&none), table)).collect())
    }
}

fn by_address(targets: Vec<TargetInfo>) -> Table {
    // An age grows by itself.
    targets.into_iter().map(|target| (target.mac, TargetInfo { age: 0, ..target })).collect()
}

fn changes(link: &LinkName, before: &Table, now: &Table) -> Vec<Happening> {
    let gone = before.keys().filter(|mac| !now.contains_key(mac));
    let gone = gone.map(|mac| Happening::target_removed(link, *mac));
    let other = now.iter().filter(|(mac, target)| before.get(mac) != Some(target));
    gone.chain(other.map(|(_, target)| Happening::target(link, target))).collect()
}
