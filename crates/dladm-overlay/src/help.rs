use std::ffi::OsString;

use overlay_core::property::{Permission, PropertySpec};

use crate::cli;
use crate::daemons::Daemons;

/// What the help of a command says beside what is always there: the properties of search plugins, which varpd has.
pub(crate) fn properties(arguments: &[OsString], daemons: &mut dyn Daemons) -> String {
    match command(arguments) {
        Some("create-overlay" | "modify-overlay") => searches(daemons),
        _ => String::new(),
    }
}

/// The command that help is for: `dladm help COMMAND` or `dladm COMMAND --help`.
fn command(arguments: &[OsString]) -> Option<&str> {
    let mut words = arguments.iter().skip(1).map(|word| word.to_str().unwrap_or_default());
    words.next().and_then(|first| if first == "help" { words.next() } else { Some(first) })
}

/// The search plugins' properties; nothing while varpd does not answer.
fn searches(daemons: &mut dyn Daemons) -> String {
    let plugins = daemons.searches().unwrap_or_default();
    plugins
        .iter()
        .map(|plugin| list(&format!("Properties of search plugin {}", plugin.name), &plugin.properties))
        .collect()
}

fn list(title: &str, specs: &[PropertySpec]) -> String {
    let given = specs.iter().filter(|spec| spec.permission == Permission::ReadWrite);
    let rows: String = given.map(cli::property_help).collect();
    if rows.is_empty() { rows } else { format!("\n{title}:\n{rows}") }
}

#[cfg(test)]
mod tests {
    use crate::commands::twin::Twin;

    #[test]
    fn help_has_the_search_plugins_properties_when_varpd_answers() {
        for arguments in ["help create-overlay", "create-overlay --help", "help modify-overlay"] {
            let help = Twin::default().run(arguments).out;
            let title = "\nProperties of search plugin direct:\n  direct/dest_ip     address [required]\n";
            assert!(help.contains(title), "{help}");
            let ran = Twin { varpd_down: true, ..Twin::default() }.run(arguments);
            assert!(!ran.out.contains("direct/dest_ip  "), "{}", ran.out);
            assert_eq!((ran.status, &*ran.err), (0, ""));
        }
    }
}
