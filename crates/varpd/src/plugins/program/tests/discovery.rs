use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use overlay_core::property::{Assignment, Properties};
use overlay_core::types::VnetId;

use super::script::{python, write};
use crate::plugins::program::discover;
use crate::plugins::program::trust::tests::Rooted;
use crate::plugins::{Mode, Plugin};

/// In the language that starts fastest: the time that discovery gives is short for a busy machine.
fn declaring(mode: &str, properties: &str) -> String {
    let plugin = format!(r#"{{"plugin":{{"protocol":1,"mode":"{mode}","properties":{properties}}}}}"#);
    format!("#!/bin/sh\nread order\necho '{plugin}'\n")
}

async fn found(directories: &[&Path]) -> Vec<Arc<dyn Plugin>> {
    let directories: Vec<PathBuf> = directories.iter().map(|path| path.to_path_buf()).collect();
    discover(&directories).await
}

async fn names(directories: &[&Path]) -> Vec<String> {
    found(directories).await.iter().map(|plugin| plugin.name().to_owned()).collect()
}

#[tokio::test]
async fn a_program_is_a_plugin_like_any_other() {
    let rooted = Rooted::new();
    let property = r#"[{"name":"table","kind":"string","required":true,"doc":"the table"}]"#;
    write(&rooted.0, "lookup_2", &declaring("dynamic", property));
    let plugins = found(&[&rooted.0]).await;
    let plugin = &plugins[0];
    assert_eq!((plugin.name(), plugin.mode()), ("lookup_2", Mode::Dynamic));
    let given = [Assignment::new("lookup_2/table", "/t")];
    let properties = Properties::check(plugin.properties(), &given).unwrap();
    let lookup = plugin.instantiate(&properties, VnetId::new(23).ok()).unwrap();
    assert!(lookup.io().is_some());
}

#[tokio::test]
async fn only_executable_files_with_the_name_of_a_plugin_are_looked_at() {
    let rooted = Rooted::new();
    let text = declaring("point", "[]");
    for name in ["good", "Bad", "bad-name", "bad.py", "1bad", &"b".repeat(32)] {
        write(&rooted.0, name, &text);
    }
    let plain = write(&rooted.0, "plain", &text);
    fs::set_permissions(plain, fs::Permissions::from_mode(0o644)).unwrap();
    fs::create_dir(rooted.0.join("directory")).unwrap();
    symlink(rooted.0.join("good"), rooted.0.join("link")).unwrap();
    assert_eq!(names(&[&rooted.0, Path::new("/nonexistent")]).await, ["good", "link"]);
}

#[tokio::test]
async fn the_first_of_a_name_counts_and_varpds_own_before_all() {
    let (first, second) = (Rooted::new(), Rooted::new());
    write(&first.0, "direct", &declaring("point", "[]"));
    write(&first.0, "both", &declaring("point", "[]"));
    write(&second.0, "both", &declaring("dynamic", "[]"));
    write(&second.0, "another", &declaring("dynamic", "[]"));
    let plugins = found(&[&first.0, &second.0]).await;
    let all: Vec<_> = plugins.iter().map(|plugin| (plugin.name(), plugin.mode())).collect();
    assert_eq!(all, [("both", Mode::Point), ("another", Mode::Dynamic)]);
}

#[tokio::test]
async fn what_others_than_root_can_write_is_not_run() {
    let rooted = Rooted::new();
    let mark = rooted.0.join("mark");
    let text = format!("#!/bin/sh\ntouch {}\n", mark.display());
    let file = write(&rooted.0, "open", &text);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o777)).unwrap();
    let inner = rooted.0.join("inner");
    fs::create_dir(&inner).unwrap();
    fs::set_permissions(&inner, fs::Permissions::from_mode(0o1777)).unwrap();
    write(&inner, "inside", &text);
    symlink(inner.join("inside"), rooted.0.join("linked")).unwrap();
    assert!(names(&[&rooted.0, &inner]).await.is_empty());
    assert!(!mark.exists(), "one of them was run");
}

#[tokio::test]
async fn programs_that_do_not_declare_themselves_are_left_out() {
    let rooted = Rooted::new();
    for (name, text) in [
        ("silent", python("for order in orders: pass")),
        ("dead", "#!/bin/sh\nexit 3\n".to_owned()),
        ("garbage", "#!/bin/sh\necho garbage\n".to_owned()),
        ("endless", "#!/bin/sh\nexec tr '\\0' a </dev/zero\n".to_owned()),
        ("other", python("next(orders); say('ready', sources='any')")),
        ("future", python("next(orders); say('plugin', protocol=2, mode='point')")),
        ("badmode", python("next(orders); say('plugin', protocol=1, mode='both')")),
        ("badproperty", declaring("point", r#"[{"name":"A","kind":"int","doc":"d"}]"#)),
        ("nointerpreter", "#!/nonexistent\n".to_owned()),
        ("zgood", declaring("point", "[]")),
    ] {
        write(&rooted.0, name, &text);
    }
    assert_eq!(names(&[&rooted.0]).await, ["zgood"]);
}
