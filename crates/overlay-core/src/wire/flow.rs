use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use super::{Ethernet, Packet};

/// Spreads inner flows by a hash that no sender can predict: the key is drawn when the hasher is made.
#[derive(Debug, Clone, Default)]
pub struct FlowHasher(RandomState);

impl FlowHasher {
    /// The hash of a frame's flow: its Ethernet addresses and type, its IP addresses, and its ports where every
    /// frame of the flow shows them (fragments do not).
    pub fn hash(&self, frame: &[u8], ethernet: &Ethernet) -> u64 {
        let mut hasher = self.0.build_hasher();
        (ethernet.source, ethernet.destination, ethernet.ethertype, ethernet.vid).hash(&mut hasher);
        if let Some(packet) = Packet::parse(frame, ethernet) {
            hasher.write(packet.addresses);
            (packet.transport, packet.ports()).hash(&mut hasher);
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(port: u8, payload: u8) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        frame.extend([0x45, 0, 0, 29, 0, payload, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0x30, port, 0, 53, 0, 9, 0, 0, payload]);
        frame
    }

    fn hash(hasher: &FlowHasher, frame: &[u8]) -> u64 {
        hasher.hash(frame, &Ethernet::parse(frame).unwrap())
    }

    #[test]
    fn frames_of_one_flow_hash_alike_and_flows_apart() {
        let hasher = FlowHasher::default();
        assert_eq!(hash(&hasher, &frame(1, 7)), hash(&hasher, &frame(1, 8)));
        assert_ne!(hash(&hasher, &frame(1, 7)), hash(&hasher, &frame(2, 7)));
    }

    #[test]
    fn each_hasher_has_its_own_secret() {
        assert_ne!(hash(&FlowHasher::default(), &frame(1, 7)), hash(&FlowHasher::default(), &frame(1, 7)));
    }
}
