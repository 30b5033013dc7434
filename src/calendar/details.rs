//! What an event is about and who comes: everything but its times.

use calcard::icalendar::{
    ICalendarClassification, ICalendarComponent, ICalendarEntry, ICalendarParameterName,
    ICalendarParameterValue, ICalendarParticipationStatus, ICalendarProperty, ICalendarStatus,
    ICalendarTransparency, ICalendarUserTypes, ICalendarValue,
};

use super::event::{Details, Moment};
use super::parse::{other, parameter, text};
use crate::domain::meeting::{Attendee, AttendeeKind, Nature, Response};

/// How Outlook says that somebody is free.
const BUSY_STATUS: &str = "X-MICROSOFT-CDO-BUSYSTATUS";

pub(super) fn details(component: &ICalendarComponent, start: &Moment) -> Details {
    let is_private = component
        .property(&ICalendarProperty::Class)
        .and_then(|entry| entry.values.first())
        .is_some_and(|class| match class {
            ICalendarValue::Classification(class) => *class != ICalendarClassification::Public,
            other => other.as_text().is_some_and(|class| !class.eq_ignore_ascii_case("PUBLIC")),
        });
    let status = other(component, BUSY_STATUS);
    let shown_as = |word| status.as_deref().is_some_and(|status| status.eq_ignore_ascii_case(word));
    let sequence = component
        .property(&ICalendarProperty::Sequence)
        .and_then(|entry| entry.values.first()?.as_integer());
    Details {
        title: text(component, &ICalendarProperty::Summary).unwrap_or_default().trim().to_owned(),
        is_cancelled: component.status() == Some(&ICalendarStatus::Cancelled),
        is_private,
        is_free: shown_as("FREE")
            || component.transparency() == Some(&ICalendarTransparency::Transparent),
        is_all_day: start.is_date,
        organizer: component
            .property(&ICalendarProperty::Organizer)
            .and_then(address)
            .filter(|email| !email.is_empty()),
        attendees: component
            .properties(&ICalendarProperty::Attendee)
            .filter_map(attendee)
            .collect(),
        link: [ICalendarProperty::Conference, ICalendarProperty::Url]
            .iter()
            .find_map(|name| text(component, name)),
        nature: if shown_as("OOF") { Nature::Absence } else { Nature::Meeting },
        sequence: sequence.and_then(|number| u32::try_from(number).ok()).unwrap_or(0),
    }
}

fn attendee(entry: &ICalendarEntry) -> Option<Attendee> {
    let email = address(entry)?;
    let value = |name: &ICalendarParameterName| entry.parameter(name);
    let response = match value(&ICalendarParameterName::Partstat) {
        Some(ICalendarParameterValue::Partstat(status)) => match status {
            ICalendarParticipationStatus::Accepted => Response::Accepted,
            ICalendarParticipationStatus::Declined => Response::Declined,
            ICalendarParticipationStatus::Tentative => Response::Tentative,
            _ => Response::NoAnswer,
        },
        _ => Response::NoAnswer,
    };
    let kind = match value(&ICalendarParameterName::Cutype) {
        Some(ICalendarParameterValue::Cutype(kind)) => match kind {
            ICalendarUserTypes::Room | ICalendarUserTypes::Resource => AttendeeKind::Room,
            ICalendarUserTypes::Group => AttendeeKind::Group,
            _ => AttendeeKind::Person,
        },
        _ => AttendeeKind::Person,
    };
    let name = parameter(entry, &ICalendarParameterName::Cn).unwrap_or_default();
    // Many calendars repeat the address where a name should be.
    let name = if name.contains('@') { String::new() } else { name.trim().to_owned() };
    Some(Attendee { email, name, response, kind })
}

/// Lower case, without `mailto:`; the `EMAIL` parameter where the value is no address.
fn address(entry: &ICalendarEntry) -> Option<String> {
    let value = entry.values.first().and_then(ICalendarValue::as_text).unwrap_or_default().trim();
    let scheme = value.get(..7).filter(|start| start.eq_ignore_ascii_case("mailto:"));
    let bare = if scheme.is_some() { &value[7..] } else { value };
    let email = if bare.contains('@') {
        bare.to_owned()
    } else {
        parameter(entry, &ICalendarParameterName::Email)?
    };
    Some(email.trim().to_lowercase()).filter(|email| email.contains('@'))
}
