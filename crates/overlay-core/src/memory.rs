//! Memory in which large tables are searched fast. It does no I/O, so that the pure core may use it; what it needs of the
//! system is in `sys`.

pub use crate::sys::{ZeroedSlice, prefetch};
