//! Question sets: which set and wording when, and what a filled form means.
//!
//! The texts are data (`config/questions.toml`), the rules about them are code: at most one text
//! box, at most four items, and wording that depends on how the meeting ended.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::debrief::{DebriefId, Outcome};

/// The built-in question sets.
pub const DEFAULT: &str = include_str!("../../config/questions.toml");

/// Everything that can be asked, validated.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Questions {
    pub ending: EndingTexts,
    set: Vec<Set>,
    reflect: Vec<Reflect>,
    pub rule: RuleTexts,
    tap: Vec<Tap>,
    skill: Vec<Choice>,
}

/// "How did it end?" and its buttons.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndingTexts {
    pub text: String,
    yes: String,
    dated: String,
    nice_chat: String,
    no: String,
    didnt_happen: String,
}

impl EndingTexts {
    pub fn label(&self, outcome: Outcome) -> &str {
        match outcome {
            Outcome::Yes => &self.yes,
            Outcome::Dated => &self.dated,
            Outcome::NiceChat => &self.nice_chat,
            Outcome::No => &self.no,
            Outcome::DidntHappen => &self.didnt_happen,
        }
    }
}

/// What is asked together.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    pub id: String,
    when: When,
    reflect: String,
    tap: String,
    /// Said after the answer.
    #[serde(default)]
    pub closing: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum When {
    Rough,
    Advance,
    Always,
}

/// The text question.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reflect {
    pub id: String,
    pub text: String,
    pub max_length: u16,
}

/// "Next time, when … I will …".
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleTexts {
    pub cue_text: String,
    pub action_text: String,
    pub max_length: u16,
    pub cue: Vec<Choice>,
}

/// A question answered with one tap.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tap {
    pub id: String,
    pub text: String,
    seen_by: SeenBy,
    #[serde(default)]
    share: u64,
    pub option: Vec<Choice>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SeenBy {
    Rep,
    Manager,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    pub id: String,
    pub text: String,
}

/// What to ask about one debrief now.
#[derive(Debug, Clone)]
pub struct Asked<'q> {
    pub set: &'q Set,
    pub reflect: &'q Reflect,
    pub tap: AskedTap<'q>,
}

/// The tap, with the skill filled in.
#[derive(Debug, Clone)]
pub struct AskedTap<'q> {
    /// Stored with the answer: `effort`, or `skill:price`.
    pub id: String,
    pub text: String,
    pub options: &'q [Choice],
    /// Belongs to the set, rather than taking turns.
    pub fixed: bool,
}

/// The set cannot be used; the text says where and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct QuestionError(String);

impl Questions {
    /// Reads and checks question sets.
    pub fn parse(text: &str) -> Result<Self, QuestionError> {
        let sets: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| {
                1 + text.get(..span.start).map_or(0, |before| before.matches('\n').count())
            });
            QuestionError(format!("line {line}: {}", error.message().replace('\n', " ")))
        })?;
        sets.check().map_err(QuestionError)?;
        Ok(sets)
    }

    /// The sets that ship with the program.
    pub fn built_in() -> Result<Self, QuestionError> {
        Self::parse(DEFAULT)
    }

    /// What to ask, given how the meeting ended (if the rep said so) and whether it was rough.
    pub fn asked(
        &self,
        debrief: DebriefId,
        outcome: Option<Outcome>,
        rough: bool,
    ) -> Option<Asked<'_>> {
        let advance = outcome.is_some_and(Outcome::is_advance);
        let rough = rough && matches!(outcome, Some(Outcome::NiceChat | Outcome::No));
        let set = self.set.iter().find(|set| match set.when {
            When::Rough => rough,
            When::Advance => advance,
            When::Always => true,
        })?;
        let reflect = self.reflect.iter().find(|reflect| reflect.id == set.reflect)?;
        Some(Asked { set, reflect, tap: self.tap_of(set, debrief)? })
    }

    /// The wording under which a text answer was given.
    pub fn reflect_text(&self, id: &str) -> &str {
        self.reflect.iter().find(|reflect| reflect.id == id).map_or("", |reflect| &reflect.text)
    }

    pub fn cue_text(&self, id: &str) -> Option<&str> {
        self.rule.cue.iter().find(|cue| cue.id == id).map(|cue| cue.text.as_str())
    }

    /// Question and answer of a tap, in words.
    pub fn tap_words(&self, id: &str, choice: &str) -> Option<(String, String)> {
        let tap = self.tap(id)?;
        let option = tap.option.iter().find(|option| option.id == choice)?;
        Some((self.tap_text(tap, skill_of(id)), option.text.clone()))
    }

    /// Ids of all taps that a manager may see.
    pub fn open_taps(&self) -> Vec<String> {
        let open = self.tap.iter().filter(|tap| tap.seen_by == SeenBy::Manager);
        open.map(|tap| tap.id.clone()).collect()
    }

    fn tap(&self, id: &str) -> Option<&Tap> {
        let id = id.split_once(':').map_or(id, |(tap, _)| tap);
        self.tap.iter().find(|tap| tap.id == id)
    }

    fn tap_text(&self, tap: &Tap, skill: Option<&str>) -> String {
        let skill = self.skill.iter().find(|known| Some(known.id.as_str()) == skill);
        tap.text.replace("{skill}", skill.map_or("", |skill| &skill.text))
    }

    /// Takes turns by share, and among skills evenly; always the same for the same debrief.
    fn tap_of(&self, set: &Set, debrief: DebriefId) -> Option<AskedTap<'_>> {
        let turn = scramble(debrief.0);
        let tap = if set.tap == "rotating" {
            let total: u64 = self.tap.iter().map(|tap| tap.share).sum();
            let mut rest = turn % total.max(1);
            self.tap.iter().find(|tap| {
                let hit = rest < tap.share;
                rest = rest.saturating_sub(tap.share);
                hit
            })?
        } else {
            self.tap.iter().find(|tap| tap.id == set.tap)?
        };
        let about_skill = tap.text.contains("{skill}");
        let skill = about_skill.then(|| {
            let place = usize::try_from((turn >> 32) % self.skill.len().max(1) as u64);
            place.ok().and_then(|place| self.skill.get(place)).map(|skill| skill.id.as_str())
        });
        let skill = skill.flatten();
        let id = skill.map_or_else(|| tap.id.clone(), |skill| format!("{}:{skill}", tap.id));
        Some(AskedTap {
            id,
            text: self.tap_text(tap, skill),
            options: &tap.option,
            fixed: set.tap != "rotating",
        })
    }

    fn check(&self) -> Result<(), String> {
        self.check_lengths()?;
        let taps = self.tap.iter().map(|tap| tap.id.as_str());
        unique("tap", taps)?;
        unique("reflect", self.reflect.iter().map(|reflect| reflect.id.as_str()))?;
        unique("set", self.set.iter().map(|set| set.id.as_str()))?;
        unique("rule.cue", self.rule.cue.iter().map(|cue| cue.id.as_str()))?;
        unique("skill", self.skill.iter().map(|skill| skill.id.as_str()))?;
        for set in &self.set {
            if !self.reflect.iter().any(|reflect| reflect.id == set.reflect) {
                return Err(format!("set {}: no reflect named {:?}", set.id, set.reflect));
            }
            let rotates = set.tap == "rotating" && self.tap.iter().any(|tap| tap.share > 0);
            if !rotates && !self.tap.iter().any(|tap| tap.id == set.tap) {
                return Err(format!("set {}: no tap named {:?}", set.id, set.tap));
            }
        }
        if self.set.last().is_none_or(|set| set.when != When::Always) {
            return Err("the last set must be asked `when = \"always\"`".into());
        }
        let skilled = self.tap.iter().any(|tap| tap.text.contains("{skill}"));
        if skilled && !(1..=8).contains(&self.skill.len()) {
            return Err("between 1 and 8 skills are needed".into());
        }
        Ok(())
    }

    fn check_lengths(&self) -> Result<(), String> {
        for outcome in Outcome::ALL {
            within("ending", self.ending.label(outcome), 24)?;
        }
        within("ending.text", &self.ending.text, 150)?;
        within("rule.cue_text", &self.rule.cue_text, 150)?;
        within("rule.action_text", &self.rule.action_text, 150)?;
        if !(1..=100).contains(&self.rule.cue.len()) {
            return Err("rule: between 1 and 100 cues are needed".into());
        }
        for cue in &self.rule.cue {
            within(&format!("rule.cue {}", cue.id), &cue.text, 75)?;
        }
        for reflect in &self.reflect {
            within(&format!("reflect {}", reflect.id), &reflect.text, 150)?;
        }
        let lengths = self.reflect.iter().map(|reflect| reflect.max_length);
        if lengths.chain([self.rule.max_length]).any(|length| !(20..=3000).contains(&length)) {
            return Err("max_length must lie between 20 and 3000".into());
        }
        for tap in &self.tap {
            within(&format!("tap {}", tap.id), &tap.text, 100)?;
            if !(2..=10).contains(&tap.option.len()) {
                return Err(format!("tap {}: between 2 and 10 options are needed", tap.id));
            }
            unique(&format!("tap {} option", tap.id), tap.option.iter().map(|o| o.id.as_str()))?;
            for option in &tap.option {
                within(&format!("tap {} option {}", tap.id, option.id), &option.text, 24)?;
            }
        }
        for skill in &self.skill {
            within(&format!("skill {}", skill.id), &skill.text, 40)?;
        }
        Ok(())
    }
}

/// Whether a self-rating says that the rep lost it: with a meeting that went nowhere, a rough one.
pub fn says_rough(tap_id: &str, choice: &str) -> bool {
    tap_id.starts_with("skill:") && matches!(choice, "1" | "2")
}

fn skill_of(tap_id: &str) -> Option<&str> {
    tap_id.split_once(':').map(|(_, skill)| skill)
}

fn within(place: &str, text: &str, most: usize) -> Result<(), String> {
    match text.chars().count() {
        0 => Err(format!("{place}: the text is empty")),
        length if length > most => {
            Err(format!("{place}: {length} characters, at most {most} are allowed"))
        }
        _ => Ok(()),
    }
}

fn unique<'a>(place: &str, ids: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for id in ids {
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(format!("{place}: id {id:?} may hold only letters, digits and _"));
        }
        if !seen.insert(id) {
            return Err(format!("{place}: id {id:?} is used twice"));
        }
    }
    Ok(())
}

/// `SplitMix64`: spreads consecutive ids evenly over all turns.
fn scramble(id: i64) -> u64 {
    let mut z = id.cast_unsigned().wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wording(outcome: Option<Outcome>, rough: bool) -> String {
        let questions = Questions::built_in().unwrap();
        questions.asked(DebriefId(1), outcome, rough).unwrap().reflect.text.clone()
    }

    #[test]
    fn the_wording_follows_the_ending() {
        let heart = "If you ran it again, what would you do differently?";
        assert_eq!(wording(None, false), heart);
        assert_eq!(wording(Some(Outcome::NiceChat), false), heart);
        assert_eq!(wording(Some(Outcome::Yes), false), "It worked. What nearly went wrong?");
        assert_eq!(wording(Some(Outcome::Dated), true), "It worked. What nearly went wrong?");
        assert_eq!(wording(Some(Outcome::No), true), "What did you get right?");
        assert_eq!(wording(None, true), heart);
    }

    #[test]
    fn a_rough_one_asks_where_it_turned() {
        let questions = Questions::built_in().unwrap();
        let asked = questions.asked(DebriefId(7), Some(Outcome::No), true).unwrap();
        assert_eq!(asked.tap.id, "turn");
        assert_eq!(
            asked.set.closing.as_deref(),
            Some("Not the last word. It's on the practice list.")
        );
    }

    #[test]
    fn taps_take_turns_by_their_share() {
        let questions = Questions::built_in().unwrap();
        let (mut skill, mut effort, mut buyer) = (0, 0, 0);
        for id in 1..=7_500 {
            let asked = questions.asked(DebriefId(id), Some(Outcome::No), false).unwrap();
            match asked.tap.id.split(':').next().unwrap() {
                "skill" => skill += 1,
                "effort" => effort += 1,
                "buyer" => buyer += 1,
                other => panic!("{other}"),
            }
        }
        assert!((4_350..4_650).contains(&skill), "{skill}");
        assert!((2_350..2_650).contains(&effort), "{effort}");
        assert!((400..600).contains(&buyer), "{buyer}");
    }

    #[test]
    fn mistakes_name_their_place() {
        let cases = [
            (
                "yes = \"Firm yes\"",
                "yes = \"A label that is far too long for a button\"",
                "ending: 41",
            ),
            ("reflect = \"nearly\"", "reflect = \"nope\"", "set good: no reflect named \"nope\""),
            ("id = \"effort\"", "id = \"skill\"", "tap: id \"skill\" is used twice"),
            ("seen_by = \"rep\"", "seen_by = \"boss\"", "unknown variant `boss`"),
            ("[rule]", "[rule]\nshout = true", "unknown field `shout`"),
            ("when = \"always\"", "when = \"rough\"", "the last set must be asked"),
        ];
        for (good, bad, message) in cases {
            let error = Questions::parse(&DEFAULT.replacen(good, bad, 1)).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let error = Questions::parse("ending = 1").unwrap_err().to_string();
        assert!(error.starts_with("line 1: "), "{error}");
    }
}
