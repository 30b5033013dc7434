//! Who may see what: one function, [`may_see`].
//!
//! It mirrors the table that people are promised. Flows ask here, the store applies the answer in
//! its queries, and adapters never decide.

/// A reader, as seen from one rep's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// The rep themself.
    Rep,
    /// The rep's manager today.
    DirectManager,
    /// The manager's managers and managers of other teams.
    OtherManager,
    Admin,
    /// A colleague, a former manager, anybody else.
    Stranger,
}

/// A kind of thing that a rep's data holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// How a meeting ended, its account and date, whose move is next.
    Ending,
    /// What the rep wrote, rules included.
    Words,
    /// Self-ratings and effort.
    SelfRating,
    /// That a prompt was skipped or left unanswered.
    Silence,
    /// What an answer said before it was edited.
    EarlierVersion,
}

/// Whether an answer is kept to its author.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    Open,
    OnlyMe,
}

/// Whether `viewer` may see `item`.
pub fn may_see(viewer: Viewer, item: Item, lock: Lock) -> bool {
    match (viewer, item) {
        (Viewer::Rep, _) | (Viewer::DirectManager, Item::Ending) => true,
        (Viewer::DirectManager, Item::Words) => lock == Lock::Open,
        _ => false,
    }
}

/// Who `reader` is to a rep, from what the store knows of both.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts, turned into one viewer below"
)]
pub struct Relation {
    pub same_person: bool,
    /// There is a reporting line from the rep to the reader today.
    pub reports_to: bool,
    pub reader_is_manager: bool,
    pub reader_is_admin: bool,
}

impl Relation {
    /// A manager who is also an administrator stays the manager.
    pub fn viewer(self) -> Viewer {
        match self {
            Self { same_person: true, .. } => Viewer::Rep,
            Self { reports_to: true, .. } => Viewer::DirectManager,
            Self { reader_is_manager: true, .. } => Viewer::OtherManager,
            Self { reader_is_admin: true, .. } => Viewer::Admin,
            _ => Viewer::Stranger,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_promised_table() {
        use Item::{EarlierVersion, Ending, SelfRating, Silence, Words};
        use Viewer::{Admin, DirectManager, OtherManager, Rep, Stranger};
        let table = [
            // item, rep, direct manager, other manager, admin, stranger
            (Ending, [true, true, false, false, false]),
            (Words, [true, true, false, false, false]),
            (SelfRating, [true, false, false, false, false]),
            (Silence, [true, false, false, false, false]),
            (EarlierVersion, [true, false, false, false, false]),
        ];
        for (item, row) in table {
            for (viewer, allowed) in
                [Rep, DirectManager, OtherManager, Admin, Stranger].into_iter().zip(row)
            {
                assert_eq!(may_see(viewer, item, Lock::Open), allowed, "{viewer:?} {item:?}");
            }
        }
    }

    #[test]
    fn a_lock_hides_words_but_not_how_it_ended() {
        assert!(!may_see(Viewer::DirectManager, Item::Words, Lock::OnlyMe));
        assert!(may_see(Viewer::DirectManager, Item::Ending, Lock::OnlyMe));
        assert!(may_see(Viewer::Rep, Item::Words, Lock::OnlyMe));
    }

    #[test]
    fn an_administrator_reads_nothing_unless_they_are_the_manager() {
        let admin = Relation {
            same_person: false,
            reports_to: false,
            reader_is_manager: false,
            reader_is_admin: true,
        };
        assert_eq!(admin.viewer(), Viewer::Admin);
        assert_eq!(Relation { reports_to: true, ..admin }.viewer(), Viewer::DirectManager);
    }
}
