use super::arguments::{Kind, kind};
use super::*;
use crate::commands::twin::{Twin, stored_overlay, stored_vnic};
use overlay_core::protocol::StoredLink;

/// The first words of the candidates after a line, which is one on a host with overlay blue0 and VNIC web0.
fn after(line: &str) -> Vec<String> {
    after_on(Twin::default(), line)
}

fn after_on(twin: Twin, line: &str) -> Vec<String> {
    let words = line.split(' ').map(OsString::from).collect();
    let text = candidates(words, Host::new(twin));
    text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
fn subcommands_are_offered_and_options_to_those_who_begin_one() {
    let all = after("dladm ");
    assert!(all.contains(&"create-overlay".to_owned()) && all.contains(&"help".to_owned()), "{all:?}");
    assert!(!all.iter().any(|word| word.starts_with('-')), "{all:?}");
    assert_eq!(after("dladm show-ov"), ["show-overlay"]);
    assert_eq!(after("dladm show-overlay --f"), ["--fma"]);
    assert!(after("dladm help show-o").contains(&"show-overlay".to_owned()));
}

#[test]
fn links_of_the_right_class_are_offered() {
    assert_eq!(after("dladm show-link "), ["blue0", "web0"]);
    for line in
        ["create-vnic -l ", "create-vnic --link ", "show-vnic -l ", "delete-overlay ", "show-overlay -f "]
    {
        assert_eq!(after(&format!("dladm {line}")), ["blue0"], "{line}");
    }
    assert_eq!(after("dladm create-vnic --link=b"), ["--link=blue0"]);
    assert_eq!(after("dladm delete-vnic w"), ["web0"]);
    assert_eq!(after("dladm show-vnic "), ["web0"]);
    assert_eq!(after("dladm modify-overlay -f b"), ["blue0"]);
}

#[test]
fn what_can_be_brought_up_is_what_is_stored_and_not_there() {
    let there = Twin { stored: vec![stored_overlay()], ..Twin::default() };
    assert!(!after_on(there, "dladm up-overlay ").contains(&"blue0".to_owned()), "it is there");
    assert_eq!(after("dladm up-overlay b"), ["blue0"], "a VNIC over it is not");
    let away = StoredLink { name: "red0".parse().unwrap(), active: false, ..stored_overlay() };
    let twin = Twin { stored: vec![stored_overlay(), away, stored_vnic()], ..Twin::default() };
    assert_eq!(after_on(twin, "dladm up-overlay r"), ["red0"]);
}

#[test]
fn a_new_name_is_the_users() {
    assert!(after("dladm create-vnic -l blue0 f").is_empty());
    let offered = after("dladm create-vnic -l blue0 ");
    assert!(offered.iter().all(|word| word.starts_with('-')), "{offered:?}");
}

#[test]
fn plugins_are_offered() {
    assert_eq!(after("dladm create-overlay -e "), ["vxlan"]);
    assert_eq!(after("dladm create-overlay -s d"), ["direct"]);
    assert_eq!(after("dladm show-search "), ["direct"]);
}

#[test]
fn properties_and_their_values_are_offered() {
    let names = after("dladm create-overlay -p ");
    assert!(names.contains(&"mtu=".to_owned()) && names.contains(&"direct/dest_ip=".to_owned()), "{names:?}");
    assert!(!names.contains(&"vnetid=".to_owned()) && !names.contains(&"varpd/id=".to_owned()));
    assert_eq!(after("dladm create-overlay -p mtu="), ["mtu=auto", "mtu=1400"]);
    assert_eq!(after("dladm create-overlay -p mtu=1400,direct/dest_p"), ["mtu=1400,direct/dest_port="]);
    assert!(!after("dladm create-overlay -p mtu=1400,").contains(&"mtu=1400,mtu=".to_owned()));
    assert!(after("dladm create-overlay -s files -p dir").is_empty(), "another plugin's");
    assert_eq!(after("dladm create-vnic -p priority=m"), ["priority=medium"]);
    assert!(after("dladm create-vnic -p nothing=").is_empty());
}

#[test]
fn a_list_goes_on_with_further_values_or_names() {
    let more = after("dladm create-vnic -p protection=mac-nospoof,");
    assert!(more.contains(&"protection=mac-nospoof,ip-nospoof".to_owned()), "{more:?}");
    assert!(more.contains(&"protection=mac-nospoof,maxbw=".to_owned()), "{more:?}");
    assert!(!more.contains(&"protection=mac-nospoof,mac-nospoof".to_owned()), "{more:?}");
    assert_eq!(
        after("dladm create-vnic -p priority=low,protection=mac-nospoof,dh"),
        ["priority=low,protection=mac-nospoof,dhcp-nospoof"]
    );
}

#[test]
fn fields_are_those_of_the_table_asked_for() {
    assert_eq!(after("dladm show-link -o cl"), ["class"]);
    assert_eq!(after("dladm show-overlay -f -o st"), ["status"]);
    assert_eq!(after("dladm show-overlay -t -o link,or"), ["link,origin"]);
    assert_eq!(after("dladm show-link -s -o ip"), ["ipackets"]);
}

#[test]
fn daemons_that_do_not_run_have_nothing_to_offer() {
    let down = || Twin { overlayd_down: true, varpd_down: true, ..Twin::default() };
    for line in ["show-overlay d", "delete-vnic w", "create-overlay -e ", "create-overlay -s "] {
        assert!(after_on(down(), &format!("dladm {line}")).is_empty(), "{line}");
    }
}

#[test]
fn what_no_daemon_knows_is_offered_without_them() {
    for line in ["sho", "show-link --", "create-vnic -p priority=", "show-link -o ", "create-vnic -m "] {
        let down = Twin { overlayd_down: true, varpd_down: true, ..Twin::default() };
        assert!(!after_on(down, &format!("dladm {line}")).is_empty(), "{line}");
    }
}

#[test]
fn a_word_that_a_shell_would_take_for_more_is_no_candidate() {
    for word in [
        "a$(id)",
        "a b",
        "a`id`",
        "a;id",
        "a'b",
        "a\"b",
        "a\\b",
        "a*",
        "a\u{1b}[m",
        "a\tb",
        "~a",
        "a{b,c}",
        "a!b",
    ] {
        assert!(!is_tame(OsStr::new(word)), "{word:?}");
    }
    for word in ["vxlan/listen_ip=2001:db8::1", "--link=demo0", "/tmp/ä.b+c@d%e-f/", "mtu=auto,maxbw="] {
        assert!(is_tame(OsStr::new(word)), "{word:?}");
    }
    let name = format!("dladm-complete-{}", std::process::id());
    let directory = env::temp_dir().join(&name);
    for name in ["ab", "a$(id)"] {
        std::fs::create_dir_all(directory.join(name)).unwrap();
    }
    let offered = after(&format!("dladm create-vnic -R {}/a", directory.display()));
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(offered, [format!("{}/ab/", directory.display())]);
}

#[test]
fn what_every_argument_is_has_been_decided() {
    // Numbers, addresses and names that are new.
    let free = [
        ("create-overlay", "vnetid"),
        ("create-overlay", "overlay"),
        ("modify-overlay", "delete_entry"),
        ("modify-overlay", "set_entry"),
        ("create-vnic", "mac_prefix"),
        ("create-vnic", "vid"),
        ("create-vnic", "vnic"),
        ("create-vnic", "slot"),
        ("create-vnic", "vrid"),
        ("create-vnic", "address_family"),
        ("rename-link", "to"),
        ("show-overlay", "interval"),
        ("show-vnic", "interval"),
        ("show-link", "interval"),
    ];
    for command in cli::command().get_subcommands() {
        let name = command.get_name();
        for argument in command.get_arguments().filter(|one| one.get_action().takes_values()) {
            // A directory, which clap completes.
            if argument.get_id() == "root" {
                continue;
            }
            let known = free.contains(&(name, argument.get_id().as_str()));
            assert_eq!(kind(name, argument) == Kind::Free, known, "{name} {}", argument.get_id());
        }
    }
}
