use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args};

/// Whether a change is for another system.
#[derive(Debug, Default, Args)]
pub(crate) struct Root {
    /// Change nothing now: leave it to the first boot of the system that has its root there
    #[arg(short = 'R', long = "root-dir", value_name = "ROOT")]
    pub(crate) root: Option<PathBuf>,
}

/// The words of a command that was given, program name included, without `-R`. Options have their long form and their value
/// with them, so that no word can be taken for another one.
pub(crate) fn words(given: &ArgMatches) -> Vec<String> {
    let Some((name, given)) = given.subcommand() else { return Vec::new() };
    let tree = super::command();
    let Some(command) = tree.find_subcommand(name) else { return Vec::new() };
    let is_given = |argument: &&Arg| {
        let id = argument.get_id();
        id != "root" && given.value_source(id.as_str()) == Some(ValueSource::CommandLine)
    };
    let (operands, options): (Vec<&Arg>, Vec<&Arg>) =
        command.get_arguments().filter(is_given).partition(|argument| argument.is_positional());
    let options = options.into_iter().flat_map(|argument| option(argument, given));
    let operands: Vec<_> = operands.into_iter().flat_map(|argument| values(argument, given)).collect();
    let end = operands.iter().any(|operand| operand.starts_with('-')).then(|| "--".to_owned());
    ["dladm", name].map(str::to_owned).into_iter().chain(options).chain(end).chain(operands).collect()
}

fn option(argument: &Arg, given: &ArgMatches) -> Vec<String> {
    let name = argument.get_long().unwrap_or_default();
    if !argument.get_action().takes_values() {
        return vec![format!("--{name}")];
    }
    values(argument, given).iter().map(|value| format!("--{name}={value}")).collect()
}

fn values(argument: &Arg, given: &ArgMatches) -> Vec<String> {
    let values = given.get_raw(argument.get_id().as_str()).into_iter().flatten();
    values.map(|value| value.to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_given_without_the_root() {
        for (text, expected) in [
            ("create-vnic -tRx -l demo0 -v -1 foo0", "create-vnic --temporary --link=demo0 --vid=-1 foo0"),
            ("delete-vnic --root-dir=/x -- -foo", "delete-vnic -- -foo"),
            ("rename-link a0 -R /x b0", "rename-link a0 b0"),
            ("set-linkprop -p a=1 -p b=2,3 -R- x0", "set-linkprop --prop=a=1 --prop=b=2,3 x0"),
            ("create-overlay -e a -e b -s c -v 1 d0", "create-overlay --encap=b --search=c --vnetid=1 d0"),
            ("modify-overlay -f d0", "modify-overlay --flush-table d0"),
        ] {
            let given = super::super::command().get_matches_from(format!("dladm {text}").split(' '));
            assert_eq!(words(&given).join(" "), format!("dladm {expected}"));
        }
    }
}
