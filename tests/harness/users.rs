use std::fs;
use std::path::Path;

use crate::Host;

impl Host {
    /// Adds a user with a group of the same name and number to those that every command and daemon of this host knows
    /// from now on.
    ///
    /// # Panics
    /// The system refuses.
    pub fn add_user(&self, name: &str, number: u32) {
        self.add_group(name, number);
        let users = fs::read_to_string("/etc/passwd").expect("a list of users");
        let list = format!("{users}\n{name}:x:{number}:{number}::/nonexistent:/bin/false\n");
        let directory = Path::new("/etc/netns").join(self.net.name());
        fs::write(directory.join("passwd"), list).expect("a file of the namespace");
    }
}
