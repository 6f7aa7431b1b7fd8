//! The stages of an overlay's life.
//!
//! ```text
//!             associate              activate
//!   Created ------------> Associated ---------> Active <--+ associate
//!      ^  \                   |   ^ associate     |  |____|
//!      |   \ activate         |___|               | disassociate, or a restart of overlayd
//!      |    refused           |                   v
//!      +----------------------+                Waiting ---- associate ----> Active
//!           disassociate
//! ```
//! An overlay can be deleted at every stage, when it has no VNICs.

/// Where an overlay is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is known; nothing else.
    Created,
    /// varpd answers for it.
    Associated,
    /// It carries frames.
    Active,
    /// It was activated, and waits for varpd; what varpd said last stays in force.
    Waiting,
}

/// What can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// varpd answers for it from now on.
    Associate,
    /// varpd has ended its instance.
    Disassociate,
    /// Its creation is finished.
    Activate,
}

/// Why a step cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Activation comes after association.
    NotAssociated,
    /// It has been activated before.
    AlreadyActive,
}

impl Stage {
    /// The stage of an overlay that was stored.
    pub(crate) const fn restored(activated: bool) -> Self {
        if activated { Self::Waiting } else { Self::Created }
    }

    /// The stage after a step.
    pub(crate) const fn step(self, step: Step) -> Result<Self, Refusal> {
        match (self, step) {
            (Self::Created | Self::Associated, Step::Associate) => Ok(Self::Associated),
            (Self::Active | Self::Waiting, Step::Associate) => Ok(Self::Active),
            (Self::Created | Self::Associated, Step::Disassociate) => Ok(Self::Created),
            (Self::Active | Self::Waiting, Step::Disassociate) => Ok(Self::Waiting),
            (Self::Created, Step::Activate) => Err(Refusal::NotAssociated),
            (Self::Associated, Step::Activate) => Ok(Self::Active),
            (Self::Active | Self::Waiting, Step::Activate) => Err(Refusal::AlreadyActive),
        }
    }

    /// Whether it has been activated: its properties are frozen, and it can have VNICs.
    pub(crate) const fn is_activated(self) -> bool {
        matches!(self, Self::Active | Self::Waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::Refusal::*;
    use super::Stage::*;
    use super::Step::*;
    use super::*;

    #[test]
    fn every_arrow_leads_where_the_diagram_says() {
        for (stage, step, outcome) in [
            (Created, Associate, Ok(Associated)),
            (Created, Disassociate, Ok(Created)),
            (Created, Activate, Err(NotAssociated)),
            (Associated, Associate, Ok(Associated)),
            (Associated, Disassociate, Ok(Created)),
            (Associated, Activate, Ok(Active)),
            (Active, Associate, Ok(Active)),
            (Active, Disassociate, Ok(Waiting)),
            (Active, Activate, Err(AlreadyActive)),
            (Waiting, Associate, Ok(Active)),
            (Waiting, Disassociate, Ok(Waiting)),
            (Waiting, Activate, Err(AlreadyActive)),
        ] {
            assert_eq!(stage.step(step), outcome, "{stage:?} {step:?}");
        }
    }

    #[test]
    fn a_stored_overlay_waits_or_is_half_made() {
        assert_eq!((Stage::restored(true), Stage::restored(false)), (Waiting, Created));
        assert!(Active.is_activated() && Waiting.is_activated());
        assert!(!Created.is_activated() && !Associated.is_activated());
    }
}
