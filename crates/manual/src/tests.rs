use std::fs;
use std::process::Command;

use varpd::plugins::files::format::parse_with_notes;

use crate::{directory, files, pages};

#[test]
fn the_pages_in_docs_are_what_the_generator_makes() {
    for page in pages() {
        let path = directory().join(page.file());
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == page.roff(), "{} is out of date: make man", page.file());
    }
    let kept = fs::read_dir(directory()).unwrap().count();
    assert_eq!(kept, pages().len(), "docs/man has a page that nothing makes");
}

#[test]
fn pages_are_ascii() {
    for page in pages() {
        let other = page.roff().lines().find(|line| !line.is_ascii()).map(str::to_owned);
        assert_eq!(other, None, "{}", page.file());
    }
}

#[test]
fn the_files_shown_are_good_and_whole() {
    let pages = pages();
    let shown: Vec<_> = pages.iter().flat_map(files).collect();
    assert_eq!(shown.len(), 2);
    for file in shown {
        let (table, notes) =
            parse_with_notes(file.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{file}"));
        assert!(!table.is_empty() && notes == Default::default(), "{notes:?}\n{file}");
    }
}

#[test]
fn no_formatter_has_a_complaint() {
    for page in pages() {
        let path = std::env::temp_dir().join(format!("manual-{}-{}", std::process::id(), page.file()));
        fs::write(&path, page.roff()).unwrap();
        let file = path.to_str().unwrap();
        for program in [
            &["groff", "-man", "-Tutf8", "-ww", "-z"][..],
            &["man", "--warnings", "-l"],
            &["mandoc", "-Tlint", "-Wwarning"],
        ] {
            // Programs that are missing are installed by `make test`; man prints the page, the others nothing.
            let outcome =
                Command::new(program[0]).args(&program[1..]).arg(file).env("MANWIDTH", "80").output();
            let outcome = outcome.unwrap_or_else(|error| panic!("{}: {error}", program[0]));
            let complaint = String::from_utf8_lossy(&outcome.stderr).into_owned();
            let lint =
                if program[0] == "mandoc" { String::from_utf8_lossy(&outcome.stdout) } else { "".into() };
            assert_eq!((&*complaint, &*lint), ("", ""), "{}: {program:?}", page.file());
        }
        fs::remove_file(path).unwrap();
    }
}
