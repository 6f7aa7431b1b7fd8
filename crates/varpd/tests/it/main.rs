//! The whole daemon against a scripted driver and all kinds of clients. Changing anything needs the right to
//! it: run these as root or as a member of `netadm`.

mod check_plugin;
mod clients;
mod host;
mod lifecycle;
mod lines;
mod program;
mod scratch;
mod twin;
