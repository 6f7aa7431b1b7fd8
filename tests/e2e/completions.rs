//! The completion scripts in the shells that they are for, on a host with an overlay and two VNICs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use overlay_tests::{Daemon, Host, SHORT};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../contrib/completions");

/// One of the shells, and what it offers after an unfinished line.
#[derive(Debug, Clone, Copy)]
enum Shell {
    Bash,
    Fish,
    Zsh,
}

impl Shell {
    const ALL: [Self; 3] = [Self::Bash, Self::Fish, Self::Zsh];

    /// What the shell would put in place of the last word, sorted.
    #[track_caller]
    fn offers(self, host: &Host, line: &str) -> Vec<String> {
        let script = match self {
            Self::Bash => bash(line),
            Self::Fish => format!("source {SCRIPTS}/dladm.fish; complete -C '{line}'"),
            Self::Zsh => zsh(host, line),
        };
        let program = match self {
            Self::Bash => &["bash", "--norc", "-c"][..],
            Self::Fish => &["fish", "--no-config", "-c"],
            Self::Zsh => &["zsh", "-f", "-c"],
        };
        let outcome = host.net.run(&[program, &[&script]].concat());
        assert_eq!(outcome.stderr, "", "{self:?} {line}");
        let stdout = outcome.ok();
        let words =
            stdout.lines().map(|line| line.split('\t').next().unwrap_or_default().trim_end().to_owned());
        let mut words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        words.sort();
        words
    }
}

/// What readline does: the function that `complete` names is called with the line taken apart at blanks, `=` and `:`.
fn bash(line: &str) -> String {
    format!(
        "source {SCRIPTS}/dladm.bash
        complete -p dladm | grep -q -- '-F _dladm dladm' || echo no completion >&2
        COMP_LINE='{line}' COMP_POINT=${{#COMP_LINE}} word=${{COMP_LINE##*[ =:]}}
        _dladm dladm \"$word\" '' && printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
}

/// How the zsh that completes begins.
const ZSH_INSIDE: &str = "
PROMPT=
autoload -Uz compinit && compinit -u -D
zle -N ask
bindkey '^I' ask
";

/// What prints the matches in it, between two marks, when tab is pressed.
const ZSH_MATCHES: &str = "
compadd() {
    local -a kept
    builtin compadd -O kept \"$@\"
    print -rl -- \"${(@)kept}\"
    builtin compadd \"$@\"
}
ask() { print '<begin>'; zle complete-word; print '<end>' }
";

/// What prints the line that it makes of it.
const ZSH_LINE: &str = "
ask() { zle complete-word; print -r -- \"<begin>${BUFFER}<end>\" }
";

/// An interactive zsh at a terminal of its own (zshmodules(1), zpty), in which the line is typed and tab pressed.
fn zsh(host: &Host, line: &str) -> String {
    zsh_with(host, line, ZSH_MATCHES)
}

fn zsh_with(host: &Host, line: &str, ask: &str) -> String {
    let inside = host.scratch().join("inside.zsh");
    fs::write(&inside, format!("fpath=({SCRIPTS} $fpath){ZSH_INSIDE}{ask}"))
        .expect("a file of the host's own");
    format!(
        "export TERM=dumb
        zmodload zsh/zpty
        zpty shell zsh -f -i
        zpty -w shell 'source {}'
        zpty -w -n shell '{line}'$'\\t'
        zpty -r shell text '*<end>*'
        zpty -d shell
        text=${{text##*<begin>}}
        print -r -- \"${{${{text%%<end>*}}//$'\\r'/}}\"",
        inside.display()
    )
}

fn host() -> Host {
    let host = Host::started();
    host.create_overlay("demo0", 23, "127.0.0.1", "127.0.0.2", &[]);
    host.create_vnic("foo0", "demo0", &[]);
    host.create_vnic("foo1", "demo0", &[]);
    host
}

#[test]
fn every_shell_completes_from_the_running_system() {
    let host = host();
    let namespace = host.net.name();
    let zone = format!("dladm create-vnic -p zone={namespace}");
    for shell in Shell::ALL {
        let offers = |line: &str| shell.offers(&host, line);
        assert_eq!(offers("dladm show-ov"), ["show-overlay"], "{shell:?}");
        assert_eq!(offers("dladm show-link "), ["demo0", "foo0", "foo1"], "{shell:?}");
        assert_eq!(offers("dladm delete-vnic foo"), ["foo0", "foo1"], "{shell:?}");
        assert_eq!(offers("dladm create-vnic -l "), ["demo0"], "{shell:?}");
        assert_eq!(offers("dladm create-overlay -s "), ["direct", "files"], "{shell:?}");
        assert_eq!(offers("dladm show-overlay -f -o sta"), ["status"], "{shell:?}");
        assert_eq!(offers("dladm create-overlay -p vxlan/listen_p"), ["vxlan/listen_port="], "{shell:?}");
        let bash = matches!(shell, Shell::Bash);
        // bash replaces only what follows the last `=`.
        let whole = |name: &str, value: &str| if bash { value.to_owned() } else { format!("{name}={value}") };
        assert_eq!(offers("dladm create-vnic -p priority=m"), [whole("priority", "medium")], "{shell:?}");
        assert_eq!(offers(&zone), [whole("zone", namespace)], "{shell:?}");
        let list = "mac-nospoof,ip-nospoof";
        assert_eq!(
            offers("dladm create-vnic -p protection=mac-nospoof,ip"),
            [whole("protection", list)],
            "{shell:?}"
        );
    }
}

/// A name that a shell would run, were it put on the command line as it is.
const HOSTILE: &str = "a$(id)";

#[test]
fn no_shell_puts_a_hostile_name_on_the_command_line() {
    let host = host();
    let root = host.scratch().join("roots");
    for name in [HOSTILE, "ab"] {
        fs::create_dir_all(root.join(name)).expect("a directory of the host's own");
    }
    let root = root.display();
    for shell in Shell::ALL {
        let offered = shell.offers(&host, &format!("dladm create-vnic -R {root}/a"));
        assert_eq!(offered, [format!("{root}/ab/")], "{shell:?}");
    }
}

/// What the scripts make of a dladm of another version, which lets such a name through.
#[test]
fn no_script_relies_on_the_program_for_that() {
    let host = host();
    let program = host.scratch().join("dladm");
    fs::write(&program, format!("#!/bin/sh\nprintf 'zone=%s\\n' '{HOSTILE}'\n"))
        .expect("a file of the host's own");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it can be run");
    let (program, line) = (program.display(), format!("{} create-vnic -p zone=a", program.display()));
    let bash = format!(
        "source {SCRIPTS}/dladm.bash; COMP_LINE='{line}' COMP_POINT=${{#COMP_LINE}}
        _dladm {program} a '' && printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let outcome = host.net.run(&["bash", "--norc", "-c", &bash]);
    assert_eq!((outcome.stdout.trim(), &*outcome.stderr), ("", ""));
    let outcome = host.net.run(&["zsh", "-f", "-c", &zsh_with(&host, &line, ZSH_LINE)]);
    assert_eq!((outcome.stdout.trim(), &*outcome.stderr), (&*format!("{line}\\$\\(id\\)"), ""));
}

#[test]
fn nothing_is_offered_or_said_while_no_daemon_runs() {
    let mut host = host();
    host.stop(Daemon::Overlayd);
    host.stop(Daemon::Varpd);
    for shell in Shell::ALL {
        assert!(shell.offers(&host, "dladm delete-vnic foo").is_empty(), "{shell:?}");
        assert!(shell.offers(&host, "dladm create-overlay -s d").is_empty(), "{shell:?}");
        assert_eq!(shell.offers(&host, "dladm show-ov"), ["show-overlay"], "{shell:?}");
    }
}

#[test]
fn a_daemon_that_does_not_answer_does_not_keep_a_shell_waiting() {
    let host = host();
    host.running(Daemon::Overlayd).freeze();
    let start = Instant::now();
    let offers = Shell::Bash.offers(&host, "dladm delete-vnic foo");
    let waited = start.elapsed();
    host.running(Daemon::Overlayd).thaw();
    assert!(offers.is_empty() && waited < SHORT, "{offers:?} after {waited:?}");
}
