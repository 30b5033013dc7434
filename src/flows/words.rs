//! How times are told to people: in their own zone, as short as it stays clear.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// "14:00"
pub fn clock(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%H:%M").to_string()
}

/// "Tue 10 Mar"
pub fn day(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%a %-d %b").to_string()
}

/// "today 14:00", "tomorrow 08:00", "Mon 16 Mar 08:00"
pub fn soon(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (then, today) = (at.to_zoned(zone.clone()).date(), now.to_zoned(zone.clone()).date());
    let name = if then == today {
        "today".to_owned()
    } else if today.tomorrow().is_ok_and(|tomorrow| tomorrow == then) {
        "tomorrow".to_owned()
    } else if today.yesterday().is_ok_and(|yesterday| yesterday == then) {
        "yesterday".to_owned()
    } else {
        day(at, zone)
    };
    format!("{name} {}", clock(at, zone))
}

/// "9–15 March", "27 April – 3 May", "9 March"
pub fn date_range(from: Date, to: Date) -> String {
    if from == to {
        return from.strftime("%-d %B").to_string();
    }
    if from.month() == to.month() && from.year() == to.year() {
        return format!("{}–{}", from.day(), to.strftime("%-d %B"));
    }
    format!("{} – {}", from.strftime("%-d %B"), to.strftime("%-d %B"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn dates_are_told_as_people_tell_them() {
        assert_eq!(date_range(date(2026, 3, 9), date(2026, 3, 15)), "9–15 March");
        assert_eq!(date_range(date(2026, 4, 27), date(2026, 5, 3)), "27 April – 3 May");
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let now: Timestamp = "2026-03-10T13:50:00Z".parse().unwrap();
        let told = |at: &str| soon(at.parse().unwrap(), now, &zone);
        assert_eq!(told("2026-03-10T15:00:00Z"), "today 16:00");
        assert_eq!(told("2026-03-11T07:00:00Z"), "tomorrow 08:00");
        assert_eq!(told("2026-03-09T23:30:00Z"), "today 00:30");
        assert_eq!(told("2026-03-16T07:00:00Z"), "Mon 16 Mar 08:00");
    }
}
