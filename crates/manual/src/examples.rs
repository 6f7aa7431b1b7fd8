use crate::{Page, commands};

/// A command of the manual or of a command's help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Where it stands: a page, or a command of dladm's.
    pub of: String,
    /// What a user types, line breaks of long ones included.
    pub typed: String,
}

/// The examples in the help of each of dladm's commands, in order.
pub fn of_commands() -> Vec<Example> {
    let examples = |command: &clap::Command| {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let of = command.get_name().to_owned();
        split(&help).1.into_iter().map(move |typed| Example { of: of.clone(), typed }).collect::<Vec<_>>()
    };
    commands().iter().flat_map(examples).collect()
}

/// The commands in the section EXAMPLES of a page, in order.
pub fn of_page(page: &Page) -> Vec<Example> {
    let code: Vec<_> = examples(page).lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let (mut typed, mut goes_on) = (Vec::<String>::new(), false);
    for line in code {
        match (line.strip_prefix("# "), typed.last_mut()) {
            (Some(command), _) => typed.push(command.to_owned()),
            (None, Some(command)) if goes_on => *command = format!("{command}\n{line}"),
            // What a command shows.
            (None, _) => continue,
        }
        goes_on = line.ends_with('\\');
    }
    typed.into_iter().map(|typed| Example { of: page.file(), typed }).collect()
}

/// The files, which are JSON objects, in the section EXAMPLES of a page.
pub fn files(page: &Page) -> Vec<String> {
    let blocks = examples(page).split("\n\n").filter(|block| block.starts_with("    {"));
    blocks.map(|block| block.lines().map(|line| format!("{}\n", &line[4..])).collect()).collect()
}

fn examples(page: &Page) -> &str {
    let section = page.text.split_once("\n## EXAMPLES\n").map_or("", |(_, rest)| rest);
    section.split("\n## ").next().unwrap_or_default()
}

/// What a help says after the options, and the examples at its end, which are indented by two.
pub(crate) fn split(help: &str) -> (&str, Vec<String>) {
    let Some(start) = help.find("Example") else { return (help, Vec::new()) };
    let (text, examples) = help.split_at(start);
    let mut typed = Vec::<String>::new();
    for line in examples.lines().skip(1).take_while(|line| !line.is_empty()) {
        match typed.last_mut().filter(|last| last.ends_with('\\')) {
            Some(last) => *last = format!("{last}\n{}", line.strip_prefix("  ").unwrap_or(line)),
            None => typed.push(line.trim().to_owned()),
        }
    }
    (text.trim(), typed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_end_a_help() {
        let (text, examples) =
            split("Words.\n\nExamples:\n  dladm a \\\n      -b\n  dladm c\n\nProperties:\n  x");
        assert_eq!(text, "Words.");
        assert_eq!(examples, ["dladm a \\\n    -b", "dladm c"]);
    }

    #[test]
    fn what_a_command_shows_is_no_command() {
        let text = "\n## A\n\n    # no\n\n## EXAMPLES\n\nDo:\n\n    # a \\\n        b\n    shown\n    # c\n\n## B\n\n    # no\n";
        let page = Page { name: "x", section: "7", date: "", text: text.to_owned() };
        let typed: Vec<_> = of_page(&page).into_iter().map(|one| one.typed).collect();
        assert_eq!(typed, ["a \\\n    b", "c"]);
    }

    #[test]
    fn every_command_has_examples() {
        let examples = of_commands();
        for command in commands() {
            let name = command.get_name();
            let mut own = examples.iter().filter(|one| one.of == name);
            assert!(own.any(|one| one.typed.starts_with(&format!("dladm {name}"))), "{name}");
        }
    }
}
