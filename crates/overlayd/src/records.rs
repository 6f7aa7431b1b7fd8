//! What is stored of links: a file each, kept over boots or until the next one.

use std::hash::{BuildHasher, RandomState};
use std::io;

use overlay_core::control::{BadRecord, Daemon, Loaded, Paths, RecordDir};
use overlay_core::property::Assignment;
use overlay_core::protocol::{ControlError, ErrorCode, FixedTarget, MacType};
use overlay_core::types::{LinkId, LinkName, MacAddr, OverlayMtu, VlanId, VnetId};
use serde::{Deserialize, Serialize};

use crate::until_boot::{PropertyChange, UntilBoot};

/// The file with the deleted overlays whose varpd instances may still exist: no link has this name.
const DELETED: &str = "-deleted";

/// The file that a run directory is known again by, until it is emptied by a boot.
const BOOT: &str = "-boot";

/// An overlay, as its creator described it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OverlayRecord {
    pub(crate) id: LinkId,
    pub(crate) name: LinkName,
    pub(crate) encap: String,
    pub(crate) vnetid: VnetId,
    pub(crate) search: String,
    pub(crate) properties: Vec<Assignment>,
    /// Entries of the target table that were set by hand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) targets: Vec<FixedEntry>,
    /// What `mtu=auto` came to when it was last known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) derived_mtu: Option<OverlayMtu>,
    #[serde(default, skip_serializing_if = "UntilBoot::is_empty")]
    pub(crate) until_boot: UntilBoot,
    /// Whether its MTU has changed and its VNICs have perhaps not followed yet.
    #[serde(default, skip_serializing_if = "is_not")]
    pub(crate) resizing: bool,
    /// The name that it had; a record under that name is this one's older self.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) renamed_from: Option<LinkName>,
    pub(crate) activated: bool,
    #[serde(skip)]
    pub(crate) temporary: bool,
}

/// An entry of a target table that was set by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FixedEntry {
    pub(crate) mac: MacAddr,
    pub(crate) target: FixedTarget,
}

/// A VNIC, with the address it was given or has drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VnicRecord {
    pub(crate) id: LinkId,
    pub(crate) name: LinkName,
    pub(crate) over: LinkId,
    pub(crate) mac: MacAddr,
    pub(crate) mac_type: MacType,
    pub(crate) vid: Option<VlanId>,
    /// Its link properties, those that were given.
    #[serde(default)]
    pub(crate) properties: Vec<Assignment>,
    #[serde(default, skip_serializing_if = "UntilBoot::is_empty")]
    pub(crate) until_boot: UntilBoot,
    /// Its MTU, given or the overlay's: of records from before link properties were stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mtu: Option<OverlayMtu>,
    /// Whether its MTU has changed and its device has perhaps not followed yet.
    #[serde(default, skip_serializing_if = "is_not")]
    pub(crate) resizing: bool,
    /// The name that it had, and its device perhaps has still; a record under that name is this one's older self.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) renamed_from: Option<LinkName>,
    /// Whether its deletion has begun; the next start finishes it.
    #[serde(default)]
    pub(crate) deleting: bool,
    #[serde(skip)]
    pub(crate) temporary: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_not(flag: &bool) -> bool {
    !*flag
}

impl OverlayRecord {
    /// Its properties as they are now.
    pub(crate) fn properties_now(&self) -> Vec<Assignment> {
        self.until_boot.over(&self.properties)
    }

    /// The record after changes of properties, which last as long as the link at the most.
    #[must_use]
    pub(crate) fn changed(&self, changes: &[PropertyChange], temporary: bool) -> Self {
        let mut record = self.clone();
        record.until_boot.change(&mut record.properties, changes, temporary && !self.temporary);
        record
    }
}

impl VnicRecord {
    /// Whether it is on its way out.
    pub(crate) fn is_leaving(&self) -> bool {
        self.deleting || !self.until_boot.is_here()
    }

    /// The same without link properties.
    pub(crate) fn bare(&self) -> Self {
        Self { properties: Vec::new(), until_boot: UntilBoot::default(), ..self.clone() }
    }

    /// Its link properties as they are now.
    pub(crate) fn properties_now(&self) -> Vec<Assignment> {
        self.until_boot.over(&self.properties)
    }

    /// The record after changes of properties, which last as long as the link at the most.
    #[must_use]
    pub(crate) fn changed(&self, changes: &[PropertyChange], temporary: bool) -> Self {
        let mut record = self.clone();
        record.until_boot.change(&mut record.properties, changes, temporary && !self.temporary);
        record
    }
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "class", rename_all = "kebab-case")]
enum Stored {
    Overlay(OverlayRecord),
    Vnic(VnicRecord),
    Deleted { links: Vec<LinkId> },
    Boot { mark: u64 },
}

/// All that could be read.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    pub(crate) overlays: Vec<OverlayRecord>,
    pub(crate) vnics: Vec<VnicRecord>,
    pub(crate) deleted: Vec<LinkId>,
    /// What this boot is known by, when overlayd has run since.
    boot: Option<u64>,
    /// What could not be read.
    pub(crate) bad: Vec<BadRecord>,
    /// What could not be read at an earlier start, and may have been mended under its own name since.
    pub(crate) bad_earlier: Vec<BadRecord>,
}

/// The two directories with records.
#[derive(Debug)]
pub(crate) struct Records {
    kept: RecordDir,
    temporary: RecordDir,
    /// What this boot is known by.
    boot: u64,
}

impl Records {
    /// Opens the directories, which are made when they are missing.
    pub(crate) fn open(paths: &Paths) -> io::Result<Self> {
        let open = |temporary| {
            let path = paths.records(Daemon::Overlayd, temporary);
            let failed = |error| io::Error::other(format!("cannot make {}: {error}", path.display()));
            let dir = RecordDir::open(path.clone()).map_err(failed)?;
            if let Err(error) = dir.try_out() {
                let stored = "what is stored works, and changes will fail";
                tracing::error!("nothing can be stored in {}: {error}; {stored}", path.display());
            }
            Ok::<_, io::Error>(dir)
        };
        Ok(Self { kept: open(false)?, temporary: open(true)?, boot: 0 })
    }

    /// Everything stored. What cannot be read is set aside, and the rest is not touched by it. What held until the next
    /// boot has ended when this is the next one.
    pub(crate) fn load(&mut self) -> Restored {
        let mut restored = Restored::default();
        for (dir, temporary) in [(&self.kept, false), (&self.temporary, true)] {
            if let Err(error) = restored.load(dir, temporary) {
                tracing::error!("cannot read stored links: {error}");
            }
        }
        self.boot = restored.boot.unwrap_or_else(|| self.mark_boot());
        restored.end_other_boots(self.boot);
        for (old, temporary) in restored.finish_renames() {
            if let Err(error) = self.remove(&old, temporary) {
                tracing::error!("{}", error.message);
            }
        }
        restored
    }

    /// Draws a mark for this boot and leaves it in the run directory.
    fn mark_boot(&self) -> u64 {
        let mark = RandomState::new().hash_one(BOOT);
        if let Err(error) = self.temporary.save(BOOT, &Stored::Boot { mark }) {
            tracing::warn!("what is set until the next boot will end with this run: {error}");
        }
        mark
    }

    /// Puts out of sight what was set aside of a link, and keeps it for whoever entered it.
    pub(crate) fn retire(&self, name: &LinkName) -> Result<(), ControlError> {
        let retired = [&self.kept, &self.temporary].into_iter().try_for_each(|dir| dir.retire(name.as_str()));
        retired.map_err(|error| {
            let problem = format!("cannot put away what is stored of {name}: {error}");
            ControlError::new(ErrorCode::Failed, problem)
        })
    }

    /// Sets aside a record that was read but makes no sense.
    pub(crate) fn set_aside(&self, name: &LinkName, temporary: bool, reason: String) -> BadRecord {
        self.dir(temporary).set_aside(name.to_string(), reason)
    }

    pub(crate) fn save_overlay(&self, record: &OverlayRecord) -> Result<(), ControlError> {
        let until_boot = UntilBoot { boot: self.boot, ..record.until_boot.clone() };
        self.save(&Stored::Overlay(OverlayRecord { until_boot, ..record.clone() }), record.temporary)
    }

    pub(crate) fn save_vnic(&self, record: &VnicRecord) -> Result<(), ControlError> {
        let until_boot = UntilBoot { boot: self.boot, ..record.until_boot.clone() };
        self.save(&Stored::Vnic(VnicRecord { until_boot, ..record.clone() }), record.temporary)
    }

    fn save(&self, stored: &Stored, temporary: bool) -> Result<(), ControlError> {
        let name = stored.name();
        self.dir(temporary).save(name, stored).map_err(|error| not_stored(name, &error))
    }

    pub(crate) fn remove(&self, name: &LinkName, temporary: bool) -> Result<(), ControlError> {
        self.dir(temporary).remove(name.as_str()).map_err(|error| {
            ControlError::new(ErrorCode::Failed, format!("cannot remove the stored {name}: {error}"))
        })
    }

    pub(crate) fn save_deleted(&self, links: &[LinkId]) -> Result<(), ControlError> {
        let outcome = match links {
            [] => self.kept.remove(DELETED),
            links => self.kept.save(DELETED, &Stored::Deleted { links: links.to_vec() }),
        };
        outcome.map_err(|error| {
            ControlError::new(ErrorCode::Failed, format!("cannot store which overlays were deleted: {error}"))
        })
    }

    const fn dir(&self, temporary: bool) -> &RecordDir {
        if temporary { &self.temporary } else { &self.kept }
    }
}

impl Stored {
    /// What its file is named by.
    fn name(&self) -> &str {
        match self {
            Self::Overlay(record) => record.name.as_str(),
            Self::Vnic(record) => record.name.as_str(),
            Self::Deleted { .. } => DELETED,
            Self::Boot { .. } => BOOT,
        }
    }
}

impl Restored {
    fn load(&mut self, dir: &RecordDir, temporary: bool) -> io::Result<()> {
        self.bad_earlier.extend(dir.set_aside_earlier::<Stored>()?);
        let Loaded { good, bad } = dir.load::<Stored>()?;
        self.bad.extend(bad);
        for (name, stored) in good {
            if stored.name() == name {
                self.take(stored, temporary);
            } else {
                let reason = format!("it is the record of {}", stored.name());
                self.bad.push(dir.set_aside(name, reason));
            }
        }
        Ok(())
    }

    fn take(&mut self, stored: Stored, temporary: bool) {
        match stored {
            Stored::Overlay(record) => self.overlays.push(OverlayRecord { temporary, ..record }),
            Stored::Vnic(record) => self.vnics.push(VnicRecord { temporary, ..record }),
            Stored::Deleted { links } => self.deleted = links,
            // Only the run directory is emptied by a boot.
            Stored::Boot { mark } => self.boot = Some(mark).filter(|_| temporary),
        }
    }

    /// Leaves out the older selves of links that have another name; says which records those are.
    fn finish_renames(&mut self) -> Vec<(LinkName, bool)> {
        let overlays = self.overlays.iter().map(|one| (one.id, &one.name, &one.renamed_from, one.temporary));
        let vnics = self.vnics.iter().map(|one| (one.id, &one.name, &one.renamed_from, one.temporary));
        let all: Vec<_> = overlays.chain(vnics).collect();
        let renamed: Vec<_> = all.iter().filter(|(_, _, from, _)| from.is_some()).collect();
        let newer = |(id, name, from, temporary): &(LinkId, &LinkName, &Option<LinkName>, bool)| {
            renamed.iter().any(|(other, new, old, kept)| {
                let same = (other, kept) == (id, temporary);
                same && old.as_ref() == Some(name) && from.as_ref() != Some(new)
            })
        };
        let older = all.iter().filter(|one| newer(one));
        let older: Vec<_> =
            older.map(|(id, name, _, temporary)| (*id, (*name).clone(), *temporary)).collect();
        self.overlays.retain(|one| !older.contains(&(one.id, one.name.clone(), one.temporary)));
        self.vnics.retain(|one| !older.contains(&(one.id, one.name.clone(), one.temporary)));
        older.into_iter().map(|(_, name, temporary)| (name, temporary)).collect()
    }

    fn end_other_boots(&mut self, boot: u64) {
        let overlays = self.overlays.iter_mut().map(|record| &mut record.until_boot);
        let all = overlays.chain(self.vnics.iter_mut().map(|record| &mut record.until_boot));
        all.filter(|until| until.boot != boot).for_each(|until| *until = UntilBoot::default());
    }
}

fn not_stored(name: &str, error: &io::Error) -> ControlError {
    let hint = "see whether the file system of the state directory is full or read-only (OVERLAY_STATE_DIR)";
    ControlError::new(ErrorCode::Failed, format!("cannot store {name}: {error}")).with_hint(hint)
}
