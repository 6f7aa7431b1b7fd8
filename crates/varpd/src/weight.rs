//! How long what the driver is told becomes as text, at most: what is bounded on its way there is bounded by that.

use overlay_core::lookup::{Octets, Sources, Verdict};
use overlay_core::protocol::Request;

/// Octets of an answer, or a call, but for what has a length of its own.
pub(crate) const FRAME: usize = 128;

/// Octets of an IPv6 tunnel end as text, with its quotes and comma.
const END: usize = 56;

/// Of an answer with this verdict.
pub(crate) fn verdict(verdict: &Verdict) -> usize {
    FRAME
        + match verdict {
            Verdict::Found(ends) | Verdict::Learned(ends) => ends.len() * END,
            Verdict::Reply(frame) => frame.0.len() * 2,
            Verdict::Absent | Verdict::Unknown | Verdict::Doubtful | Verdict::Redirect(_) => 0,
        }
}

/// Of a frame.
pub(crate) fn frame(frame: &Octets) -> usize {
    FRAME + frame.0.len() * 2
}

/// Of a call.
pub(crate) fn call(request: &Request) -> usize {
    FRAME
        + match request {
            Request::Answers { answers } => answers.iter().map(|answer| verdict(&answer.verdict)).sum(),
            Request::Inject { frame: octets, .. } => frame(octets),
            Request::Degrade { message, .. } => message.len() * 2,
            Request::ForgetDeleted { links } => links.len() * FRAME,
            Request::Associate(association) => match &association.sources {
                Sources::Known(hosts) => hosts.len() * END,
                Sources::Any => 0,
            },
            _ => 0,
        }
}
