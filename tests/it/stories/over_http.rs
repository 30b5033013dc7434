//! The same stories where Slack posts signed requests: word for word, through the other door.

macro_rules! over_http {
    ($($room:ident: $($story:ident)+;)+) => {
        $(mod $room {
            $(#[test]
            fn $story() {
                crate::world::over_http(crate::stories::$room::$story);
            })+
        })+
    };
}

over_http! {
    answering:
        a_tap_is_saved_at_once_and_a_restart_keeps_it
        the_form_words_its_question_after_the_ending_and_keeps_what_was_typed
        mistakes_are_shown_under_their_fields
        an_answer_can_be_edited_any_time_and_versions_are_kept
        a_plain_reply_is_an_answer_and_correcting_it_corrects_the_answer
        a_reply_in_the_thread_answers_that_prompt
        with_two_open_questions_a_plain_message_is_asked_about
        a_lock_keeps_the_words_from_the_manager
        a_call_in_no_calendar_is_logged_by_hand
        a_trigger_that_is_too_old_is_explained
        somebody_elses_debrief_cannot_be_touched;
    asking:
        a_meeting_ends_and_the_rep_is_asked_once
        a_pause_is_quiet_and_leaves_nothing_to_flood
        snooze_skip_and_did_not_happen
        a_restart_changes_nothing;
    history:
        a_rep_reads_all_of_their_own
        a_manager_reads_their_own_team_and_the_look_is_logged
        nobody_else_reads_anything_and_nobody_learns_who_exists
        a_stranger_to_the_roster_is_told_so
        a_long_history_is_read_page_by_page
        the_home_tab_is_the_calm_place;
}
