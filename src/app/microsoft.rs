//! Microsoft 365 from its section of the configuration and the secret beside it.

use std::sync::Arc;

use crate::calendar::CalendarSettings;
use crate::calendar::microsoft::MicrosoftSettings;
use crate::calendar::microsoft::view::MicrosoftCalendar;
use crate::config::microsoft::MicrosoftConfig;
use crate::config::secrets;
use crate::ports::Clock;

/// # Errors
/// If there is no usable secret: a mistake in the configuration like any other.
pub(super) fn calendar(
    microsoft: &MicrosoftConfig,
    settings: &CalendarSettings,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<MicrosoftCalendar> {
    let MicrosoftConfig { tenant, client_id, graph_url, login_url } = microsoft.clone();
    let client_secret = secrets::microsoft_from_env()?.reveal().to_owned();
    let app = MicrosoftSettings { tenant, client_id, client_secret, graph_url, login_url };
    MicrosoftCalendar::new(settings, app, Arc::clone(clock))
}
