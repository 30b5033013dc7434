//! Looks up who we are, people, and when they want to be left alone.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::SlackMessenger;
use crate::domain::roster::ChatId;
use crate::ports::{Identity, Profile, SendError};
use crate::slack::api::Call;
use crate::slack::manifest::SCOPES;
use crate::slack::people;

#[derive(Debug, Deserialize)]
struct UserAnswer {
    user: Value,
}

impl SlackMessenger {
    /// Who we are, asked once.
    pub(in crate::slack) async fn me(&self) -> Result<&Identity, SendError> {
        if let Some(me) = self.me.get() {
            return Ok(me);
        }
        let (answer, scopes) = self.api.who_am_i().await?;
        let me = identity(&answer, scopes.as_deref())?;
        Ok(self.me.get_or_init(|| me))
    }

    pub(super) async fn user(
        &self,
        method: &'static str,
        argument: (&'static str, String),
    ) -> Result<Option<Profile>, SendError> {
        let team = &self.me().await?.team_id;
        match self.api.get::<UserAnswer>(Call::new(method), &[argument]).await {
            Ok(answer) => people::profile(&answer.user, team).map(Some).ok_or(SendError::Unknown),
            Err(SendError::Gone { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One answer for many people, or one each where Slack does not give that.
    pub(super) async fn quiet(&self, people: &[ChatId]) -> Result<people::QuietTimes, SendError> {
        let ids: Vec<&str> = people.iter().map(|person| person.0.as_str()).collect();
        let call = Call::new("dnd.teamInfo");
        match self.api.get::<Value>(call, &[("users", ids.join(","))]).await {
            Ok(answer) => return Ok(people::quiet_times(&answer["users"])),
            Err(SendError::Never { .. } | SendError::Gone { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut quiet = HashMap::new();
        for person in people {
            let call = Call::new("dnd.info");
            match self.api.get::<Value>(call, &[("user", person.0.clone())]).await {
                Ok(answer) => {
                    quiet.extend(people::quiet_time(&answer).map(|time| (person.clone(), time)));
                }
                Err(SendError::Never { .. } | SendError::Gone { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(quiet)
    }
}

fn identity(answer: &Value, scopes: Option<&str>) -> Result<Identity, SendError> {
    let word = |name: &str| answer[name].as_str().map(str::to_owned);
    // A person's token works for `auth.test` too, but has no bot.
    let (Some(team_id), Some(bot_user), Some(bot_id)) =
        (word("team_id"), word("user_id"), word("bot_id"))
    else {
        return Err(SendError::Halt { code: "not_allowed_token_type".into() });
    };
    let granted: Option<Vec<&str>> =
        scopes.map(|scopes| scopes.split(',').map(str::trim).collect());
    Ok(Identity {
        team_id,
        team_name: word("team").unwrap_or_default(),
        bot_user: ChatId(bot_user),
        bot_id,
        missing_scopes: granted.map_or_else(Vec::new, |granted| {
            SCOPES
                .iter()
                .filter(|scope| !granted.contains(scope))
                .map(|scope| (*scope).to_owned())
                .collect()
        }),
    })
}
