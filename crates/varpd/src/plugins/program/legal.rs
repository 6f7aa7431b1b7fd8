//! What a program says, checked: only what could be true of a network gets any further.

use std::net::{IpAddr, SocketAddr};

use overlay_core::lookup::{Sources, TargetMode};
use overlay_core::property::AddressRule;
use overlay_core::types::MacAddr;

use super::message::{Address, Announcement, Answer, Doubt, Place, Readiness, Senders};
use crate::plugins::Mode;
use crate::plugins::interface::{Action, Finding, News, Query};

/// Tunnel ends in one answer.
pub(crate) const ENDS_MAX: usize = 4096;

/// What a question wants to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Tunnel ends.
    Ends,
    /// The address of a machine.
    Mac,
}

impl From<&Query> for Wanted {
    fn from(query: &Query) -> Self {
        match query {
            Query::Target { .. } => Self::Ends,
            Query::Resolve { .. } | Query::Dhcp { .. } => Self::Mac,
        }
    }
}

/// How destinations are found and who may send, as a program has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// How destinations are found.
    pub(crate) target: TargetMode,
    /// Who may send.
    pub(crate) sources: Sources,
}

impl Standing {
    /// From the words of a program of this mode.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn check(ready: Readiness, mode: Mode) -> Result<Self, String> {
        let target = match (mode, ready.point) {
            (Mode::Point, Some(point)) => TargetMode::Point(end(point)?),
            (Mode::Point, None) => return Err("'point' is missing".to_owned()),
            (Mode::Dynamic, None) => TargetMode::Dynamic,
            (Mode::Dynamic, Some(_)) => return Err("a dynamic plugin has no 'point'".to_owned()),
        };
        let sources = match ready.sources {
            Senders::Word(_) => Sources::Any,
            Senders::Known(hosts) => {
                Sources::known(hosts.into_iter().map(host).collect::<Result<Vec<_>, _>>()?)
            }
        };
        Ok(Self { target, sources })
    }
}

/// What an answer says to a question that wants this.
///
/// # Errors
/// What is wrong with the answer.
pub(crate) fn finding(answer: Answer, wanted: Wanted) -> Result<Finding, String> {
    match (wanted, answer) {
        (Wanted::Ends, Answer { ends: Some(ends), mac: None, absent: false, unknown: false, .. }) => {
            legal_ends(ends).map(Finding::Ends)
        }
        (Wanted::Mac, Answer { mac: Some(mac), ends: None, absent: false, unknown: false, .. }) => {
            mac.unicast().map(Finding::Mac).map_err(|error| error.to_string())
        }
        (_, Answer { absent: true, ends: None, mac: None, unknown: false, .. }) => Ok(Finding::Absent),
        (_, Answer { unknown: true, ends: None, mac: None, absent: false, .. }) => Ok(Finding::Unknown),
        (Wanted::Ends, _) => Err("the answer is not one of 'ends', 'absent' and 'unknown'".to_owned()),
        (Wanted::Mac, _) => Err("the answer is not one of 'mac', 'absent' and 'unknown'".to_owned()),
    }
}

/// An address and its tunnel ends.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn place(place: Place) -> Result<(MacAddr, Vec<SocketAddr>), String> {
    Ok((somebody(place.mac)?, legal_ends(place.ends)?))
}

/// News that nobody has an address any more.
///
/// # Errors
/// What is wrong with the address.
pub(crate) fn gone(gone: &Address) -> Result<News, String> {
    somebody(gone.mac).map(News::Gone)
}

/// News of a doubt.
///
/// # Errors
/// It is not of one thing.
pub(crate) fn doubt(doubt: &Doubt) -> Result<News, String> {
    match *doubt {
        Doubt { mac: Some(mac), groups: false, all: false } => somebody(mac).map(News::Doubtful),
        Doubt { mac: None, groups: true, all: false } => Ok(News::GroupsDoubtful),
        Doubt { mac: None, groups: false, all: true } => Ok(News::AllDoubtful),
        Doubt { .. } => Err("the doubt is not one of 'mac', 'groups' and 'all'".to_owned()),
    }
}

/// What is to be announced.
///
/// # Errors
/// An address that no machine has.
pub(crate) fn announcement(announcement: &Announcement) -> Result<Action, String> {
    // Link-local addresses too: they have neighbours on the overlay.
    let ip = announcement.ip.to_canonical();
    if ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(std::net::Ipv4Addr::BROADCAST) {
        return Err(format!("{ip} is no machine's address"));
    }
    let mac = announcement.mac.unicast().map_err(|error| error.to_string())?;
    Ok(Action::Announce { ip, mac, vid: announcement.vlan })
}

fn legal_ends(ends: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, String> {
    if ends.len() > ENDS_MAX {
        return Err(format!("{} tunnel ends are more than {ENDS_MAX}", ends.len()));
    }
    ends.into_iter().map(end).collect()
}

fn end(end: SocketAddr) -> Result<SocketAddr, String> {
    match end.port() {
        0 => Err(format!("{end} has no port")),
        port => host(end.ip()).map(|ip| SocketAddr::new(ip, port)),
    }
}

fn host(ip: IpAddr) -> Result<IpAddr, String> {
    AddressRule::Host.check(ip).map_err(|reason| format!("{ip} is no tunnel end: {reason}"))
}

/// The address of a machine or of a group.
fn somebody(mac: MacAddr) -> Result<MacAddr, String> {
    if mac == MacAddr::default() { Err("the all-zero MAC address is nobody's".to_owned()) } else { Ok(mac) }
}

#[cfg(test)]
mod tests {
    use super::super::message::{Said, read};
    use super::*;

    fn ready(members: &str, mode: Mode) -> Result<Standing, String> {
        match read(format!("{{\"ready\":{{{members}}}}}").as_bytes()) {
            Ok(Some(Said::Ready(ready))) => Standing::check(ready, mode),
            other => panic!("{other:?}"),
        }
    }

    fn answered(members: &str, wanted: Wanted) -> Result<Finding, String> {
        match read(format!("{{\"answer\":{{\"id\":1,{members}}}}}").as_bytes()) {
            Ok(Some(Said::Answer(answer))) => finding(answer, wanted),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_point_plugin_names_its_destination_and_a_dynamic_one_does_not() {
        let point = ready(r#""sources":"any","point":"[::ffff:10.0.0.2]:4789""#, Mode::Point).unwrap();
        assert_eq!(point.target, TargetMode::Point("10.0.0.2:4789".parse().unwrap()));
        assert_eq!(point.sources, Sources::Any);
        assert!(ready(r#""sources":"any""#, Mode::Point).is_err());
        assert!(ready(r#""sources":"any","point":"10.0.0.2:0""#, Mode::Point).is_err());
        assert!(ready(r#""sources":"any","point":"224.0.0.1:1""#, Mode::Point).is_err());
        assert!(ready(r#""sources":"any","point":"10.0.0.2:1""#, Mode::Dynamic).is_err());
        let dynamic = ready(r#""sources":["::ffff:10.0.0.2"]"#, Mode::Dynamic).unwrap();
        assert_eq!(dynamic.sources, Sources::known(["10.0.0.2".parse().unwrap()]));
        assert!(ready(r#""sources":["0.0.0.0"]"#, Mode::Dynamic).is_err());
    }

    #[test]
    fn a_question_is_answered_in_its_own_kind() {
        let ends = answered(r#""ends":["10.0.0.2:1","[::1]:2"]"#, Wanted::Ends);
        assert!(matches!(ends, Ok(Finding::Ends(ends)) if ends.len() == 2));
        let mac = answered(r#""mac":"2:8:20:0:0:1""#, Wanted::Mac);
        assert_eq!(mac, Ok(Finding::Mac(MacAddr([2, 8, 0x20, 0, 0, 1]))));
        for wanted in [Wanted::Ends, Wanted::Mac] {
            assert_eq!(answered(r#""absent":true"#, wanted), Ok(Finding::Absent));
            assert_eq!(answered(r#""unknown":true"#, wanted), Ok(Finding::Unknown));
        }
    }

    #[test]
    fn answers_that_are_none_are_refused() {
        for (members, wanted) in [
            (r#""mac":"2:8:20:0:0:1""#, Wanted::Ends),
            (r#""ends":["10.0.0.2:1"]"#, Wanted::Mac),
            (r#""ends":[],"absent":true"#, Wanted::Ends),
            (r#""absent":true,"unknown":true"#, Wanted::Ends),
            (r#""absent":false"#, Wanted::Ends),
            (r#""ends":["10.0.0.2:0"]"#, Wanted::Ends),
            (r#""ends":["224.0.0.1:4789"]"#, Wanted::Ends),
            (r#""mac":"ff:ff:ff:ff:ff:ff""#, Wanted::Mac),
            (r#""mac":"0:0:0:0:0:0""#, Wanted::Mac),
        ] {
            assert!(answered(members, wanted).is_err(), "{members}");
        }
        let many = vec!["10.0.0.2:1".parse().unwrap(); ENDS_MAX + 1];
        assert!(legal_ends(many).is_err());
    }

    #[test]
    fn doubt_is_of_one_thing() {
        let none = Doubt { mac: None, groups: false, all: false };
        assert_eq!(doubt(&Doubt { all: true, ..none }), Ok(News::AllDoubtful));
        assert_eq!(doubt(&Doubt { groups: true, mac: None, all: false }), Ok(News::GroupsDoubtful));
        assert!(doubt(&Doubt { mac: None, groups: false, all: false }).is_err());
        assert!(doubt(&Doubt { mac: Some(MacAddr([2; 6])), groups: false, all: true }).is_err());
    }

    #[test]
    fn only_what_a_machine_has_is_announced() {
        let of = |ip: &str, mac| Announcement { ip: ip.parse().unwrap(), mac: MacAddr(mac), vlan: None };
        assert!(announcement(&of("10.8.0.1", [2; 6])).is_ok());
        assert!(announcement(&of("fe80::1", [2; 6])).is_ok());
        for ip in ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "ff02::1", "::ffff:0.0.0.0"] {
            assert!(announcement(&of(ip, [2; 6])).is_err(), "{ip}");
        }
        assert!(announcement(&of("10.8.0.1", [0xff; 6])).is_err());
    }
}
