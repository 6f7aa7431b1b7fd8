#![doc = include_str!("../theory.md")]
#![forbid(unsafe_code)]

mod backlog;
pub mod backoff;
pub mod conformance;
pub mod daemon;
pub mod driver;
pub mod instance;
pub mod message;
pub mod options;
pub mod owner;
pub mod plugins;
pub mod privileges;
pub mod proxy;
pub mod search;
pub mod server;
pub mod store;
mod weight;

#[cfg(test)]
#[path = "../tests/it/scratch.rs"]
mod scratch;
