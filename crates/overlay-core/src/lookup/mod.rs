//! Where frames go and from where they may come: what varpd tells the driver of each overlay.

mod message;
mod mode;

pub use message::{About, Answer, NotHexadecimal, Octets, Question, Verdict};
pub use mode::{Sources, TargetMode};
