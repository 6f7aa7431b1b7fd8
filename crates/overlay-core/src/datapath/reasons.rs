use super::counters::DropReason;

/// What someone who finds a drop reason in a counter wants to know. Help, manual and `docs/counters.md` have these words.
impl DropReason {
    /// Why frames are dropped for it, after "because".
    pub const fn because(self) -> &'static str {
        match self {
            Self::NotActive => "the overlay's creation was not finished",
            Self::NoTarget => "varpd has not said yet where anything goes",
            Self::Runt => "it is too short to have an Ethernet header",
            Self::TooBig => {
                "it is longer than the largest MTU that the overlay, or the VNIC that it is for, has had since overlayd was started"
            }
            Self::LookupAbsent => "the search plugin says that nobody has its destination",
            Self::LookupUnknown => "the search plugin could not say",
            Self::LookupTimeout => "varpd did not answer within `target/timeout`",
            Self::LookupFull => "too many frames wait, or too much is asked at once",
            Self::TargetDrop => "an administrator has set its destination to be dropped",
            Self::Proxied => "no loss: varpd has answered it in the place of whoever it was for",
            Self::UnknownVtep => "its sender is no tunnel end that the search plugin knows",
            Self::UnknownMac => "it came for an address that no VNIC here has, and none gets everything",
            Self::ToItself => "it is for the VNIC that sent it",
            Self::NoReceiver => "it is for all, and nobody is there; or it is for this host alone",
            Self::NoRoute => "the underlay has no way to the tunnel end, or it is of the other IP version",
            Self::UnderlayMtu => {
                "no packet of that size gets to the tunnel end; its sender was told what does (counted as `injected`), or is none who can be told"
            }
            Self::SendFull => "the underlay's queue is full",
            Self::SendRefused => "the underlay's socket is closed or refused it",
            Self::DeviceDown => "the VNIC is not up",
            Self::DeviceFull => "the VNIC has no room, or the system no memory",
            Self::DeviceRefused => {
                "the kernel takes no frame of that form: whoever made it has described it wrongly"
            }
            Self::BadSuperFrame => "the kernel handed over a super-frame that cannot be cut",
            Self::BadEcn => {
                "its datagram met congestion on the underlay, and the packet inside cannot say so (RFC 6040)"
            }
            Self::OverMaxbw => "it is more than its VNIC's `maxbw` lets through and its queue holds",
            Self::SpoofedMac => "its source is no MAC address of the VNIC that sent it",
            Self::Restricted => "it is none of IPv4, IPv6 and ARP, or in a VLAN of the guest's own",
            Self::SpoofedIp => "its source is no IP address of the VNIC that sent it",
            Self::SpoofedArp => "it is ARP that speaks of another than the VNIC that sent it, or RARP",
            Self::SpoofedNdp => "it is neighbour discovery that speaks of another than the VNIC that sent it",
            Self::SpoofedDhcp => {
                "it is DHCP that speaks of another client than the VNIC that sent it, or a server's"
            }
        }
    }

    /// Where to look when it grows; empty where there is nothing to be done.
    pub const fn look_at(self) -> &'static str {
        match self {
            Self::NotActive => "the overlay: delete it and create it again",
            Self::NoTarget | Self::LookupUnknown => "`dladm show-overlay -f`, varpd's log",
            Self::TooBig => "`mtu` at both ends",
            Self::LookupAbsent => "the file of `files`; the address",
            Self::LookupTimeout => "whether varpd runs: `dladm show-overlay -f`",
            Self::LookupFull => "a guest that scans, a plugin that is slow",
            Self::TargetDrop => "`dladm show-overlay -t -o all`",
            Self::UnknownVtep => "`direct/dest_ip`, the file of `files`; `.../accept`",
            Self::UnknownMac => "the sender's tables; a VNIC whose address was changed",
            Self::NoRoute => "`ip route get`",
            Self::UnderlayMtu => "`mtu`, the way's MTU (`tracepath`)",
            Self::SendFull | Self::SendRefused => "`dladm show-overlay -f`, the firewall",
            Self::DeviceDown => "`ip link`",
            Self::DeviceFull => "`free`",
            Self::DeviceRefused => "the program that sent it",
            Self::BadEcn => "the underlay's load",
            Self::OverMaxbw => "what a VNIC sends too much, its device drops (`ip -s link`)",
            Self::SpoofedMac
            | Self::Restricted
            | Self::SpoofedIp
            | Self::SpoofedArp
            | Self::SpoofedNdp
            | Self::SpoofedDhcp => "the VNIC's `protection` (`docs/protection.md`); what runs in its guest",
            Self::Proxied | Self::Runt | Self::ToItself | Self::NoReceiver | Self::BadSuperFrame => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_counters_has_these_words() {
        let page = include_str!("../../../../docs/counters.md");
        for reason in DropReason::ALL {
            let (name, look_at) = (reason.name(), reason.look_at());
            let end = if look_at.is_empty() { "|".to_owned() } else { format!("{look_at} |") };
            let row = format!("| `drop-{name}` | {} | {end}", reason.because());
            assert!(page.lines().any(|line| line == row), "docs/counters.md lacks\n{row}");
        }
    }
}
