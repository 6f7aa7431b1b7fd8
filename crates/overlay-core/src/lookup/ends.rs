use std::net::SocketAddr;
use std::slice;
use std::sync::Arc;

/// The tunnel ends that each get a frame: mostly one. Copying it allocates nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ends {
    /// One.
    One(SocketAddr),
    /// None, or several.
    Many(Arc<[SocketAddr]>),
}

impl Ends {
    /// All of them.
    pub fn all(&self) -> &[SocketAddr] {
        match self {
            Self::One(end) => slice::from_ref(end),
            Self::Many(ends) => ends,
        }
    }
}

impl From<Vec<SocketAddr>> for Ends {
    fn from(ends: Vec<SocketAddr>) -> Self {
        match ends[..] {
            [end] => Self::One(end),
            _ => Self::Many(ends.into()),
        }
    }
}
