mod arrows;
mod discovery;
mod processes;
pub(crate) mod script;
