use crate::property::{
    ALLOWED_DHCP_CIDS, ALLOWED_IPS, MAXBW, PRIORITY, PROMISC_FILTERED, PROTECTION, Properties,
    SECONDARY_MACS, Value,
};
use crate::types::{ClientId, MacAddr, Network, Rate};

/// What a VNIC may do, and how much of it: its link properties, as the data path sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortPolicy {
    /// Further addresses of its own.
    pub secondary_macs: Vec<MacAddr>,
    /// The most that it carries each way.
    pub maxbw: Option<Rate>,
    /// How much of a busy worker it gets.
    pub priority: Priority,
    /// What it may not send.
    pub protection: Protection,
    /// Where it may send from, when addresses are protected.
    pub allowed_ips: Vec<Network>,
    /// What its DHCP client may call itself, when DHCP is protected.
    pub allowed_dhcp_cids: Vec<ClientId>,
    /// Whether it gets only frames that are for it.
    pub promisc_filtered: bool,
}

/// How much of a busy worker a VNIC gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// The least.
    Low,
    /// More.
    Medium,
    /// The most.
    #[default]
    High,
}

/// What a VNIC may not send (dladm(8), protection).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Protection {
    /// Frames from an address that is not its own.
    pub mac_nospoof: bool,
    /// Frames of another protocol than IPv4, IPv6 and ARP.
    pub restricted: bool,
    /// Packets, ARP and neighbour discovery that speak of another IP address than its own.
    pub ip_nospoof: bool,
    /// DHCP requests under another's hardware address or client identifier.
    pub dhcp_nospoof: bool,
}

impl Protection {
    /// Whether nothing is kept from it.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl Default for PortPolicy {
    fn default() -> Self {
        Self {
            secondary_macs: Vec::new(),
            maxbw: None,
            priority: Priority::default(),
            protection: Protection::default(),
            allowed_ips: Vec::new(),
            allowed_dhcp_cids: Vec::new(),
            promisc_filtered: true,
        }
    }
}

impl PortPolicy {
    /// What checked link properties say.
    pub fn of(properties: &Properties) -> Self {
        let has = |word: &str| {
            each(properties, PROTECTION).any(|value| matches!(value, Value::Text(text) if text == word))
        };
        Self {
            secondary_macs: typed(properties, SECONDARY_MACS, |value| match value {
                Value::Mac(address) => Some(*address),
                _ => None,
            }),
            maxbw: match properties.value(MAXBW) {
                Some(Value::Rate(rate)) => Some(*rate),
                _ => None,
            },
            priority: match properties.text(PRIORITY) {
                Some("low") => Priority::Low,
                Some("medium") => Priority::Medium,
                _ => Priority::High,
            },
            protection: Protection {
                mac_nospoof: has("mac-nospoof"),
                restricted: has("restricted"),
                ip_nospoof: has("ip-nospoof"),
                dhcp_nospoof: has("dhcp-nospoof"),
            },
            allowed_ips: typed(properties, ALLOWED_IPS, |value| match value {
                Value::Network(network) => Some(*network),
                _ => None,
            }),
            allowed_dhcp_cids: typed(properties, ALLOWED_DHCP_CIDS, |value| match value {
                Value::ClientId(id) => Some(id.clone()),
                _ => None,
            }),
            promisc_filtered: properties.text(PROMISC_FILTERED) != Some("off"),
        }
    }
}

/// The values of a property that can have several.
fn each<'a>(properties: &'a Properties, name: &str) -> impl Iterator<Item = &'a Value> {
    match properties.value(name) {
        Some(Value::Several(values)) => &values[..],
        _ => &[],
    }
    .iter()
}

fn typed<T>(properties: &Properties, name: &str, one: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    each(properties, name).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::property::{Assignment, VNIC_LINK_PROPERTIES};

    #[test]
    fn every_property_reaches_the_policy() {
        let given = [
            (SECONDARY_MACS, "2:8:20:0:0:1,2:8:20:0:0:2"),
            (MAXBW, "100M"),
            (PRIORITY, "low"),
            (PROTECTION, "ip-nospoof,restricted"),
            (ALLOWED_IPS, "192.0.2.0/24"),
            (ALLOWED_DHCP_CIDS, "printer"),
            (PROMISC_FILTERED, "off"),
        ];
        let given = given.map(|(name, value)| Assignment::new(name, value));
        let policy = PortPolicy::of(&Properties::check(VNIC_LINK_PROPERTIES, &given).unwrap());
        let expected = PortPolicy {
            secondary_macs: vec![MacAddr([2, 8, 0x20, 0, 0, 1]), MacAddr([2, 8, 0x20, 0, 0, 2])],
            maxbw: "100M".parse().ok(),
            priority: Priority::Low,
            protection: Protection { ip_nospoof: true, restricted: true, ..Protection::default() },
            allowed_ips: vec!["192.0.2.0/24".parse().unwrap()],
            allowed_dhcp_cids: vec!["printer".parse().unwrap()],
            promisc_filtered: false,
        };
        assert_eq!(policy, expected);
    }

    #[test]
    fn what_is_not_given_is_the_default() {
        let policy = PortPolicy::of(&Properties::check(VNIC_LINK_PROPERTIES, &[]).unwrap());
        assert_eq!(policy, PortPolicy::default());
        assert!(policy.protection.is_none());
    }
}
