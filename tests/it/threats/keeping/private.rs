//! Private meetings are nobody's business.

use super::{beside, bytes};
use crate::world::{World, acme, meeting};

#[tokio::test]
async fn s16_of_a_private_meeting_no_title_and_no_guest_is_stored() {
    let secret = |uid: &str, class: &str, from: &str, to: &str| {
        let entry = meeting(uid, "Zqtherapyxw", from, to, "dr.zqdocxw@clinic.example");
        format!("{entry}{class}\r\nDESCRIPTION:Zqtherapyxw notes\r\nLOCATION:Zqclinicxw\r\n")
    };
    let entries = [
        acme(),
        secret("p", "CLASS:PRIVATE", "2026-03-10T15:00", "2026-03-10T16:00"),
        secret("c", "CLASS:CONFIDENTIAL", "2026-03-11T15:00", "2026-03-11T16:00"),
    ];
    let mut world = World::new(&entries).await;
    world.turn_to("2026-03-10T17:00").await;
    // It still takes the rep's time.
    let busy: i64 = beside(&world)
        .query_row("SELECT count(*) FROM meeting WHERE uid = 'p' AND is_busy", [], |row| row.get(0))
        .unwrap();
    assert_eq!(busy, 1);
    // Read once more from what was kept, while the calendar is broken.
    world.playground.set_calendar("maya.ics", "nonsense");
    world.turn_to("2026-03-10T17:30").await;
    world.stop().await;
    for name in ["debrief.db", "debrief.db-wal"] {
        let bytes = bytes(&world.path(name));
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        for word in ["zqtherapyxw", "zqdocxw", "zqclinicxw"] {
            assert!(!text.contains(word), "{word} stands in {name}");
        }
    }
}
