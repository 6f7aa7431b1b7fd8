//! Plugin `direct`: every frame that is for no VNIC of this host goes to one tunnel end.

mod properties;

use std::net::SocketAddr;

use overlay_core::lookup::{Sources, TargetMode};
use overlay_core::property::{Properties, PropertySpec};
use overlay_core::types::{Moment, VnetId};

use super::interface::{Action, Event, Finding};
use super::{Lookup, Mode, Plugin, PluginError, accept};

pub(super) struct Direct;

impl Plugin for Direct {
    fn name(&self) -> &str {
        "direct"
    }

    fn mode(&self) -> Mode {
        Mode::Point
    }

    fn properties(&self) -> &[PropertySpec] {
        properties::TABLE
    }

    fn instantiate(
        &self,
        properties: &Properties,
        _vnetid: Option<VnetId>,
    ) -> Result<Box<dyn Lookup>, PluginError> {
        let (Some(ip), Some(port)) = (properties.ip(properties::IP), properties.port(properties::PORT))
        else {
            let reason = "its destination is incomplete".to_owned();
            return Err(PluginError { plugin: self.name().to_owned(), reason });
        };
        let accept_any = accept::any(properties, properties::ACCEPT);
        Ok(Box::new(Point { end: SocketAddr::new(ip, port), accept_any }))
    }
}

struct Point {
    end: SocketAddr,
    accept_any: bool,
}

impl Lookup for Point {
    fn target(&self) -> TargetMode {
        TargetMode::Point(self.end)
    }

    fn sources(&self) -> Sources {
        if self.accept_any { Sources::Any } else { Sources::known([self.end.ip()]) }
    }

    fn on_event(&mut self, event: Event, _now: Moment, actions: &mut Vec<Action>) {
        match event {
            Event::Started => actions.push(Action::Ready),
            // The driver asks nothing of an overlay with one destination.
            Event::Ask(ticket, _) => actions.push(Action::Answer(ticket, Finding::Unknown)),
            Event::Associated | Event::Reload | Event::Alarm | Event::Io(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay_core::property::{Assignment, PropertyError};

    fn check(given: &[(&str, &str)]) -> Result<Properties, PropertyError> {
        let given: Vec<_> = given.iter().map(|(name, value)| Assignment::new(*name, *value)).collect();
        Properties::check(properties::TABLE, &given)
    }

    fn lookup(given: &[(&str, &str)]) -> Box<dyn Lookup> {
        Direct.instantiate(&check(given).unwrap(), None).unwrap()
    }

    const V4: [(&str, &str); 2] = [("direct/dest_ip", "10.0.0.2"), ("direct/dest_port", "4789")];
    const V6: [(&str, &str); 2] = [("direct/dest_ip", "2001:db8::2"), ("direct/dest_port", "1")];

    #[test]
    fn the_destination_is_the_given_one() {
        assert_eq!(lookup(&V4).target(), TargetMode::Point("10.0.0.2:4789".parse().unwrap()));
        assert_eq!(lookup(&V6).target(), TargetMode::Point("[2001:db8::2]:1".parse().unwrap()));
    }

    #[test]
    fn only_the_destination_may_send_unless_any_is_accepted() {
        assert_eq!(lookup(&V4).sources(), Sources::known(["10.0.0.2".parse().unwrap()]));
        let [ip, port] = V4;
        assert_eq!(lookup(&[ip, port, ("direct/accept", "any")]).sources(), Sources::Any);
        assert_ne!(lookup(&[ip, port, ("direct/accept", "known")]).sources(), Sources::Any);
    }

    #[test]
    fn values_that_are_no_tunnel_end_are_refused() {
        let [ip, port] = V4;
        for bad in ["0", "65536", "-1", "vxlan"] {
            assert!(check(&[ip, ("direct/dest_port", bad)]).is_err(), "{bad}");
        }
        for bad in ["0.0.0.0", "224.0.0.1", "fe80::1", "10.0.0.2:4789", "host"] {
            assert!(check(&[("direct/dest_ip", bad), port]).is_err(), "{bad}");
        }
        assert!(check(&[ip, port, ("direct/accept", "some")]).is_err());
    }

    #[test]
    fn an_incomplete_destination_makes_no_instance() {
        assert!(Direct.instantiate(&Properties::default(), None).is_err());
    }
}
