//! Where frames go and from where they may come: what varpd tells the driver of each overlay, and the table in which
//! the driver keeps what it was told.

mod census;
mod desk;
mod ends;
mod entry;
mod frames;
mod message;
mod mode;
mod room;
mod shard;
mod shards;
mod slot;
mod slow;
mod table;
mod waiting;

pub use desk::Desk;
pub use ends::Ends;
pub use entry::{Fate, Refusal, Timing};
pub use message::{About, Answer, NotHexadecimal, Octets, Question, Verdict};
pub use mode::{Sources, TargetMode};
pub use table::TargetTable;
pub use waiting::{Asker, Released};
