use std::fmt::Display;

use jiff::ZonedDateTime;
use overlay_core::protocol::{Change, TargetInfo};
use overlay_core::types::{LinkName, MacAddr};
use serde_json::{Map, Value, json};

use crate::commands::overlay_rows;
use crate::table::{Cell, Column};

pub(super) const COLUMNS: [Column; 4] =
    [Column::new("TIME", 13), Column::new("LINK", 16), Column::new("CHANGE", 15), Column::new("DETAILS", 40)];

/// Something that is shown: a change of overlayd's, of a target table, or overlayd itself.
pub(super) struct Happening {
    /// What it happened to; none where it is the whole host.
    pub(super) link: Option<LinkName>,
    details: String,
    /// The members that it has in JSON, but for the time. Its `change` is the word for it in a row too.
    members: Map<String, Value>,
}

impl Happening {
    pub(super) fn driver_away() -> Self {
        Self::of_host("driver-away", "overlayd does not run, or does not answer; waiting for it")
    }

    pub(super) fn driver_back() -> Self {
        Self::of_host(
            "driver-back",
            "changes in between are not known: dladm show-link, dladm show-overlay -f",
        )
    }

    pub(super) fn target(link: &LinkName, target: &TargetInfo) -> Self {
        let destination = overlay_rows::destination(&target.destination);
        let details =
            format!("{} {} {}", address(target.mac), destination.as_str(), overlay_rows::state(target.state));
        let members = json!({"change": "target", "link": link, "target": target});
        Self { link: Some(link.clone()), details, members: object(members) }
    }

    pub(super) fn target_removed(link: &LinkName, mac: Option<MacAddr>) -> Self {
        let members = json!({"change": "target-removed", "link": link, "mac": mac});
        let details = address(mac).to_string();
        Self { link: Some(link.clone()), details, members: object(members) }
    }

    fn of_host(change: &'static str, details: &str) -> Self {
        Self { link: None, details: details.to_owned(), members: object(json!({"change": change})) }
    }

    /// As a row under [`COLUMNS`].
    pub(super) fn row(&self, now: &ZonedDateTime) -> Vec<Cell> {
        let link = self.link.as_ref().map_or_else(Cell::empty, Cell::text);
        let details = if self.details.is_empty() { Cell::empty() } else { Cell::text(&self.details) };
        let change = self.members.get("change").and_then(Value::as_str).unwrap_or_default();
        vec![Cell::text(now.strftime("%H:%M:%S%.3f")), link, Cell::text(change), details]
    }

    /// As a line with one JSON object.
    pub(super) fn json(self, now: &ZonedDateTime) -> String {
        let mut members = Map::from_iter([("time".to_owned(), Value::from(now.timestamp().to_string()))]);
        members.extend(self.members);
        format!("{}\n", Value::from(members))
    }
}

impl From<Change> for Happening {
    fn from(change: Change) -> Self {
        let members = object(serde_json::to_value(&change).unwrap_or_default());
        let (link, details) = match change {
            Change::LinkAdded { link, class, state } => {
                (Some(link), format!("{}, {}", word(json!(class)), word(json!(state))))
            }
            Change::LinkRemoved { link, class } => (Some(link), word(json!(class))),
            Change::LinkRenamed { link, from } => (Some(link), format!("it was {from}")),
            Change::LinkState { link, state } => (Some(link), word(json!(state))),
            Change::Property { link, property, value } => {
                (Some(link), format!("{property}={}", value.unwrap_or_default()))
            }
            Change::Degraded { link, details } => (Some(link), details),
            Change::Restored { link } => (Some(link), String::new()),
            Change::Missed => (None, "more has happened than was read in time: dladm show-link".to_owned()),
        };
        Self { link, details, members }
    }
}

/// The address of an entry; one that serves all is written as in show-overlay -t.
fn address(mac: Option<MacAddr>) -> impl Display {
    mac.map_or_else(|| overlay_rows::EVERY_ADDRESS.to_owned(), |mac| mac.to_string())
}

/// The protocol's word for a value.
fn word(value: Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
