//! A wrong command line in one line: what clap knows of it, without clap's layout.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli;
use crate::error::Failure;

/// The command that a command line is for.
pub(crate) fn command(arguments: &[OsString]) -> Option<&str> {
    let word = arguments.get(1)?.to_str()?;
    cli::command().find_subcommand(word).map(|_| word)
}

/// What is wrong with the command line.
pub(crate) fn failure(error: &clap::Error, command: Option<&str>) -> Failure {
    Failure::usage(command, why(error))
}

fn why(error: &clap::Error) -> String {
    let argument = context(error, ContextKind::InvalidArg);
    let value = context(error, ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::UnknownArgument => format!("unexpected argument '{argument}'"),
        ErrorKind::MissingRequiredArgument => format!("missing {argument}"),
        ErrorKind::InvalidValue if value.is_empty() => format!("'{argument}' needs a value"),
        ErrorKind::TooManyValues => format!("'{argument}' takes no value"),
        ErrorKind::ArgumentConflict => conflict(&argument, &context(error, ContextKind::PriorArg)),
        ErrorKind::InvalidSubcommand => {
            format!("unknown command '{}'", context(error, ContextKind::InvalidSubcommand))
        }
        _ => first_line(&error.render().to_string()),
    }
}

fn conflict(argument: &str, other: &str) -> String {
    if argument == other {
        format!("'{argument}' is given more than once")
    } else {
        format!("'{argument}' cannot be used with '{other}'")
    }
}

fn context(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    }
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use crate::commands::twin::Twin;

    #[test]
    fn a_wrong_command_line_is_told_in_one_line_with_status_2() {
        for (arguments, line) in [
            ("create-overlay --foo", "create-overlay: unexpected argument '--foo'"),
            ("show-link a0 b0", "show-link: unexpected argument 'b0'"),
            ("delete-overlay", "delete-overlay: missing <OVERLAY>"),
            (
                "create-overlay",
                "create-overlay: missing --encap <ENCAP>, --search <SEARCH>, --vnetid <VNETID>, <OVERLAY>",
            ),
            ("create-vnic foo0", "create-vnic: missing --link <LINK>"),
            ("show-link -o", "show-link: '--output <FIELD[,FIELD...]>' needs a value"),
            ("create-vnic -m a -m b", "create-vnic: '--mac-address <MAC>' is given more than once"),
            ("show-link -p --json", "show-link: '--parsable' cannot be used with '--json'"),
            ("show-link --json=3", "show-link: '--json' takes no value"),
            ("show-link -i 1", "show-link: missing --statistics"),
            ("create-vnic -l d0 -r 2:8:20 v0", "create-vnic: -r goes with -m random only"),
            ("create-vnic -l d0 -n 1 v0", "create-vnic: -n goes with -m factory only"),
            ("create-vnic -l d0 -m auto -V 1 v0", "create-vnic: -V goes with -m vrrp only"),
            ("create-vnic -l d0 -m 2:8:20:0:0:1 -A inet v0", "create-vnic: -A goes with -m vrrp only"),
            ("create-vnic -l d0 -f v0", "create-vnic: missing --vid <VID>"),
            ("show-link -p", "show-link: parsable output needs the names of its fields with -o"),
            ("show-search a b", "show-search: unexpected argument 'b'"),
            ("show-search -p", "show-search: parsable output needs the names of its fields with -o"),
            ("show-overlay -p -o all", "show-overlay: parsable output needs the names of its fields with -o"),
        ] {
            let ran = Twin::default().run(arguments);
            let command = arguments.split(' ').next().unwrap();
            assert_eq!(ran.err, format!("dladm: {line}\ntry: dladm help {command}\n"));
            assert_eq!((ran.status, &*ran.out), (2, ""), "{arguments}");
        }
    }

    #[test]
    fn an_unknown_command_is_named() {
        let ran = Twin::default().run("frobnicate x");
        assert_eq!(ran.err, "dladm: unknown command 'frobnicate'\ntry: dladm help\n");
        assert_eq!(ran.status, 2);
    }

    #[test]
    fn help_goes_to_the_output_and_succeeds() {
        for arguments in
            ["help", "help create-overlay", "--help", "show-overlay --help", "create-vnic -h", "--version"]
        {
            let ran = Twin::default().run(arguments);
            assert_eq!((ran.status, &*ran.err), (0, ""), "{arguments}");
            assert!(!ran.out.is_empty());
        }
    }
}
