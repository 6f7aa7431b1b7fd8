use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Makes an executable file. Another process writes it: a test beside this one that starts a process would hold the
/// file open for a moment, and the system runs nothing that is open for writing.
pub(crate) fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let file = directory.join(name);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg("cat >\"$0\" && chmod 755 \"$0\"").arg(&file).stdin(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    shell.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(shell.wait().unwrap().success());
    file
}

/// A program in Python that has `say(word, members)` and `orders`, and this body.
pub(crate) fn python(body: &str) -> String {
    format!(
        "#!/usr/bin/env python3\n\
         import json, os, sys, time\n\
         def say(word, **members):\n    print(json.dumps({{word: members}}), flush=True)\n\
         orders = map(json.loads, sys.stdin)\n\
         {body}\n"
    )
}

/// One that declares itself, says that it is ready, and does this with a question, whose number is `id`.
pub(crate) fn answering(answer: &str) -> String {
    python(&format!(
        "for order in orders:\n    \
             if 'describe' in order: say('plugin', protocol=1, mode='dynamic')\n    \
             if 'start' in order: say('ready', sources='any')\n    \
             if 'ask' in order:\n        id = order['ask']['id']\n        {answer}"
    ))
}
