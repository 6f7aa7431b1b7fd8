//! The manual pages: prose in Markdown (`pages`), with what the programs know of themselves put in from their own tables and command
//! lines, so that neither can be forgotten. `make man` writes them to `docs/man`.
//!
//! A page begins with a line `% NAME SECTION DATE`. A line `{{PART}}` stands for a part that `parts` makes. Sections are
//! headings of level 2 and, within them, 3; a term with its explanation is a definition list. In a code block of a section
//! EXAMPLES each line that begins with `# ` is a command; `tests/e2e/manual.rs` runs them.
#![forbid(unsafe_code)]

mod examples;
mod markdown;
mod parts;

use std::path::PathBuf;

pub use examples::{Example, files, of_commands, of_page};

/// Prose of every page.
const PAGES: [&str; 5] = [
    include_str!("../pages/dladm.8.md"),
    include_str!("../pages/overlay.7.md"),
    include_str!("../pages/overlay_files.5.md"),
    include_str!("../pages/overlayd.8.md"),
    include_str!("../pages/varpd.8.md"),
];

/// A manual page.
#[derive(Debug)]
pub struct Page {
    /// What it is about.
    pub name: &'static str,
    /// The section of the manual that it is in.
    pub section: &'static str,
    date: &'static str,
    /// Its Markdown, with the parts put in.
    pub text: String,
}

impl Page {
    /// Its file's name.
    pub fn file(&self) -> String {
        format!("{}.{}", self.name, self.section)
    }

    /// As man(7) has it.
    pub fn roff(&self) -> String {
        let (name, version) = (self.name.to_uppercase(), env!("CARGO_PKG_VERSION"));
        let manual = match self.section {
            "5" => "File Formats",
            "7" => "Miscellanea",
            _ => "System Administration",
        };
        format!(
            ".\\\" Made by `make man` from crates/manual: change it there.\n\
             .TH {name} {} {} \"overlay {version}\" \"{manual}\"\n\
             .nr HY 0\n.ad l\n{}",
            self.section,
            self.date,
            markdown::to_roff(&self.text)
        )
    }
}

/// Every page.
///
/// # Panics
/// One begins with another line than a title, or has a part that there is not.
pub fn pages() -> Vec<Page> {
    PAGES.map(page).into()
}

fn page(source: &'static str) -> Page {
    let (title, text) = source.split_once('\n').expect("a title line");
    let words: Vec<_> = title.split(' ').collect();
    let ["%", name, section, date] = words[..] else { panic!("'{title}' is no title") };
    Page { name, section, date, text: parts::put_in(text) }
}

/// dladm's commands, in the order of its help.
fn commands() -> Vec<clap::Command> {
    let dladm = dladm_overlay::command();
    let mut commands: Vec<_> = dladm.get_subcommands().filter(|one| !one.is_hide_set()).cloned().collect();
    commands.sort_by_key(clap::Command::get_display_order);
    commands
}

/// Where the pages are kept.
pub fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/man")
}

#[cfg(test)]
mod tests;
