//! The whole daemon against a scripted driver and all kinds of clients. Changing anything needs the right to
//! it: run these as root or as a member of `netadm`.

mod check_plugin;
mod clients;
mod dynamic;
mod host;
mod lifecycle;
mod lines;
mod lookups;
mod program;
mod scratch;
mod twin;

// By the name that it has inside the crate, whose tests share a file with these.
use varpd::plugins;
