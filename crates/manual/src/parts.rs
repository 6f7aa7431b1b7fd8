use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};
use overlay_core::datapath::DropReason;
use overlay_core::encap::ENCAPS;
use overlay_core::property::{
    OVERLAY_LINK_PROPERTIES, OVERLAY_PROPERTIES, Permission, PropertySpec, VNIC_LINK_PROPERTIES,
};
use varpd::plugins::PLUGINS;

use crate::{commands, examples};

/// Columns that a usage may take on a page of 80.
const WIDTH: usize = 69;

/// The text with each line `{{PART}}` replaced by the part.
pub(crate) fn put_in(text: &str) -> String {
    let part = |line: &str| line.strip_prefix("{{").and_then(|line| line.strip_suffix("}}")).map(part);
    let lines = text.lines().map(|line| part(line).unwrap_or_else(|| line.to_owned()) + "\n");
    lines.collect()
}

fn part(name: &str) -> String {
    match name {
        "commands" => commands().iter().map(command).collect(),
        "synopsis" => commands().iter().map(|command| shown(&usage(command))).collect(),
        "options overlayd" => options(overlayd_options::Options::command()),
        "options varpd" => options(varpd::options::Options::command()),
        "overlay properties" => properties(OVERLAY_PROPERTIES),
        "link properties" => link_properties(),
        "encapsulations" => {
            ENCAPS.iter().map(|encap| plugin("Encapsulation", encap.name(), encap.properties())).collect()
        }
        "searches" => {
            PLUGINS.iter().map(|one| plugin("Search plugin", one.name(), one.properties())).collect()
        }
        "drops" => DropReason::ALL.iter().map(drop_reason).collect(),
        _ => panic!("there is no part '{name}'"),
    }
}

/// How a command is called, in lines that fit a page.
fn usage(command: &Command) -> String {
    let named = command.clone().bin_name(format!("dladm {}", command.get_name())).disable_help_flag(true);
    let options: Vec<_> = named.get_arguments().filter(|one| !one.is_positional()).map(option).collect();
    let usage = named.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").replace("[OPTIONS]", &options.join(" "));
    wrapped(&usage.replace(['<', '>'], ""))
}

fn option(argument: &Arg) -> String {
    let name = argument.get_short().map(|short| format!("-{short}"));
    let name = name.or_else(|| argument.get_long().map(|long| format!("--{long}"))).unwrap_or_default();
    let value = argument.get_value_names().filter(|_| argument.get_action().takes_values());
    value.map_or_else(|| format!("[{name}]"), |value| format!("[{name} {}]", value[0]))
}

/// Breaks a usage between its options, never inside one.
fn wrapped(usage: &str) -> String {
    let mut lines = vec![String::new()];
    for unit in units(usage) {
        let line = lines.last_mut().filter(|line| line.is_empty() || line.len() + unit.len() < WIDTH);
        match line {
            Some(line) if line.is_empty() => *line = unit,
            Some(line) => *line = format!("{line} {unit}"),
            None => lines.push(format!("    {unit}")),
        }
    }
    lines.join("\n")
}

/// The parts of a usage: what is between brackets, an option with its value, a word.
fn units(usage: &str) -> Vec<String> {
    let (mut units, mut depth) = (Vec::<String>::new(), 0);
    for word in usage.split(' ') {
        let goes_on = |unit: &String| depth > 0 || unit.starts_with('-') && !unit.contains(' ');
        match units.pop_if(|unit| goes_on(unit)) {
            Some(unit) => units.push(format!("{unit} {word}")),
            None => units.push(word.to_owned()),
        }
        depth += word.matches(['[', '{']).count();
        depth -= word.matches([']', '}']).count();
    }
    units
}

/// A text as it is.
fn shown(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// All that is known of a command.
fn command(command: &Command) -> String {
    let mut text = format!("### {}\n\n{}\n", command.get_name(), shown(&usage(command)));
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (more, examples) = examples::split(&help);
    // The properties have sections of their own.
    let more = more.split("\n\n").filter(|paragraph| {
        !paragraph.starts_with("Properties") && !paragraph.starts_with("Link properties")
    });
    let _ = writeln!(text, "{about}.\n\n{}", more.collect::<Vec<_>>().join("\n\n"));
    text += &options(command.clone());
    let tables = dladm_overlay::tables();
    tables
        .iter()
        .filter(|table| table.command == command.get_name())
        .for_each(|table| text += &fields(table));
    let title = if examples.len() == 1 { "Example" } else { "Examples" };
    let examples: String =
        examples.iter().map(|line| format!("    # {}\n", line.replace('\n', "\n    "))).collect();
    let _ = writeln!(text, "{title}:\n\n{examples}");
    text
}

/// The options of a command line, as clap_mangen has them, without its heading.
fn options(command: Command) -> String {
    let command = command.disable_help_flag(true).disable_version_flag(true);
    let mut roff = Vec::new();
    // A writer into memory does not fail.
    let _ = clap_mangen::Man::new(command).render_options_section(&mut roff);
    let text = String::from_utf8_lossy(&roff);
    let list = text.split_once(".SH OPTIONS\n").map_or("", |(_, list)| list);
    format!("```roff\n{}```\n\n", words_in_bold(&list.replace("\\*(Aq", "\\(aq")))
}

/// Help has words that are typed between backquotes.
fn words_in_bold(text: &str) -> String {
    let pieces = text.split('`').enumerate();
    pieces
        .map(|(at, piece)| if at % 2 == 1 { format!("\\fB{piece}\\fR") } else { piece.to_owned() })
        .collect()
}

fn fields(table: &dladm_overlay::Shown) -> String {
    let title = match table.option {
        "" => "It shows these fields:".to_owned(),
        option => format!("With **{option}** it shows these fields:"),
    };
    let rows: String = table.fields.iter().map(field).collect();
    format!("{title}\n\n{rows}")
}

fn field(field: &dladm_overlay::Field) -> String {
    let note = if field.on_request { "; shown when **-o** asks for it" } else { "" };
    format!("**{}**\n: {}{note}\n\n", field.name, capitalized(field.doc))
}

fn plugin(what: &str, name: &str, specs: &[PropertySpec]) -> String {
    format!("### {what} {name}\n\n{}", properties(specs))
}

fn properties(specs: &[PropertySpec]) -> String {
    specs.iter().map(|spec| property(spec, "")).collect()
}

/// The link properties of VNICs, and which of them overlays have.
fn link_properties() -> String {
    let on_overlays = |spec: &PropertySpec| OVERLAY_LINK_PROPERTIES.iter().any(|one| one.name == spec.name);
    let row =
        |spec: &PropertySpec| property(spec, if on_overlays(spec) { " Overlays have it too." } else { "" });
    VNIC_LINK_PROPERTIES.iter().map(row).collect()
}

fn property(spec: &PropertySpec, more: &str) -> String {
    let mut text = format!("**{}**\n: {}.", spec.name, capitalized(&spec.doc));
    let possible = spec.possible.to_string();
    if !possible.is_empty() {
        let _ = write!(text, " Possible: {}.", possible.replace(',', ", "));
    }
    if spec.several {
        text += " Several values have commas between them.";
    }
    match &spec.default {
        Some(default) => drop(write!(text, " Default: {default}.")),
        None if spec.required => text += " It must be given.",
        None => {}
    }
    if spec.permission == Permission::ReadOnly {
        text += " It is only shown.";
    }
    text + more + "\n\n"
}

fn capitalized(text: &str) -> String {
    // The name of a program is as it is typed.
    if text.starts_with("varpd") {
        return text.to_owned();
    }
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn drop_reason(reason: &DropReason) -> String {
    let look_at = match reason.look_at() {
        "" => String::new(),
        place => format!(" Look at: {place}."),
    };
    format!("**drop-{}**\n: {}.{look_at}\n\n", reason.name(), capitalized(reason.because()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_is_broken_between_its_options() {
        let usage = "dladm create-vnic [-t] -l LINK [-m ADDRESS|auto|{random [-r PREFIX]}] [-v VID] VNIC";
        let lines =
            "dladm create-vnic [-t] -l LINK [-m ADDRESS|auto|{random [-r PREFIX]}]\n    [-v VID] VNIC";
        assert_eq!(wrapped(usage), lines);
    }

    #[test]
    #[should_panic(expected = "there is no part 'nothing'")]
    fn a_page_asks_for_parts_that_there_are() {
        put_in("a\n{{nothing}}\n");
    }
}
