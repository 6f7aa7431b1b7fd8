use std::sync::atomic::{AtomicUsize, Ordering};

use super::entry::State;

/// What an entry is to those who decide which one has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// It says where frames go.
    Serving,
    /// It only says that a lookup was refused.
    Refused,
    /// Frames may wait in it.
    Asking,
    /// An administrator has set it.
    Fixed,
}

impl State {
    pub(super) const fn class(&self) -> Class {
        match self {
            Self::Known { .. } | Self::Checking { .. } => Class::Serving,
            Self::Refused { .. } => Class::Refused,
            Self::Asking { .. } => Class::Asking,
            Self::Fixed { .. } => Class::Fixed,
        }
    }
}

/// How many entries of each class a table has.
#[derive(Debug, Default)]
pub(super) struct Census([AtomicUsize; 4]);

impl Census {
    /// An entry has come, changed or gone.
    pub(super) fn moved(&self, from: Option<Class>, to: Option<Class>) {
        if from == to {
            return;
        }
        if let Some(to) = to {
            self.0[to as usize].fetch_add(1, Ordering::Relaxed);
        }
        if let Some(from) = from {
            self.0[from as usize].fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn of(&self, class: Class) -> usize {
        self.0[class as usize].load(Ordering::Relaxed)
    }

    pub(super) fn all(&self) -> usize {
        self.0.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Of which class the least recently used entry has to go, with at most `maximum` beside those set by hand.
    ///
    /// What is refused or asked for has a quarter of the table for itself and no more, so that whoever asks for what is
    /// not there takes nobody's place who is. What is asked for stays until that is over.
    pub(super) fn surplus(&self, maximum: usize) -> Option<Class> {
        let [serving, refused, asking] =
            [Class::Serving, Class::Refused, Class::Asking].map(|class| self.of(class));
        if serving + refused + asking <= maximum {
            return None;
        }
        match (refused, serving) {
            (1.., _) if refused + asking > share(maximum) => Some(Class::Refused),
            (_, 1..) => Some(Class::Serving),
            (1.., 0) => Some(Class::Refused),
            (0, 0) => None,
        }
    }
}

/// How many entries may be asked for at once in a table of `maximum` entries: a quarter of them.
pub(super) fn share(maximum: usize) -> usize {
    (maximum / 4).max(1)
}
