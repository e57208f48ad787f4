//! Schedules: when a workflow is submitted by the clock. A schedule has the five fields of cron
//! (minute, hour, day of the month, month, day of the week) in a time zone. Where the clock is set
//! forward, a time that does not exist is taken later by the gap; where it is set back, a time that
//! exists twice counts once.

use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::value::Kept;

/// The schedule of a workflow, as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Its name, with which the names of its runs begin.
    pub name: String,
    /// Digest of the workflow.
    pub hash: String,
    /// The five fields.
    pub spec: String,
    /// Name of the time zone, such as `Europe/Berlin`.
    pub zone: String,
    /// The input of each run.
    pub input: Kept,
    /// Whether runs are submitted for each time that has passed while no engine ran; otherwise only
    /// the last one is.
    pub catch_up: bool,
    /// The next time.
    pub next_ms: i64,
}

/// A schedule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// It does not have five fields.
    #[error(
        "'{spec}' has {found} fields; write minute, hour, day of the month, month, day of the week"
    )]
    Fields {
        /// The text.
        spec: String,
        /// The number of its fields.
        found: usize,
    },
    /// A field cannot be read.
    #[error(
        "'{part}' is no {field}: write numbers from {first} to {last}, ranges, lists, steps, or *"
    )]
    Field {
        /// The part of the text.
        part: String,
        /// The field.
        field: &'static str,
        /// The smallest number.
        first: u32,
        /// The largest one.
        last: u32,
    },
    /// The time zone is unknown.
    #[error("there is no time zone '{0}' on this machine")]
    Zone(String),
    /// There is no such day.
    #[error("'{0}' names a day that no year has")]
    Never(String),
}

/// The times of a schedule.
#[derive(Debug, Clone)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day counts when its date or its weekday does, as cron has it where both are named.
    either_day: bool,
    zone: TimeZone,
}

/// The years that are searched for the next time: enough for every 29 February.
const YEARS: i16 = 9;
const FIELDS: [(&str, u32, u32); 5] = [
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
];

impl Cron {
    /// Reads a schedule.
    ///
    /// # Errors
    /// [`CronError`] names the part that cannot be read.
    pub fn parse(spec: &str, zone: &str) -> Result<Self, CronError> {
        let parts: Vec<&str> = spec.split_whitespace().collect();
        if parts.len() != FIELDS.len() {
            return Err(CronError::Fields { spec: spec.to_owned(), found: parts.len() });
        }
        let mut masks = [0; 5];
        for (mask, (part, field)) in masks.iter_mut().zip(parts.iter().zip(FIELDS)) {
            *mask = mask_of(part, field)?;
        }
        let [minutes, hours, days, months, weekdays] = masks;
        let zone = match zone {
            "" | "UTC" => TimeZone::UTC,
            name => TimeZone::get(name).map_err(|_unknown| CronError::Zone(name.to_owned()))?,
        };
        // 7 is Sunday as well.
        let weekdays = (weekdays | (weekdays >> 7)) & 0x7f;
        let either_day = !parts[2].starts_with('*') && !parts[4].starts_with('*');
        let cron = Self { minutes, hours, days, months, weekdays, either_day, zone };
        match cron.next(0) {
            Some(_) => Ok(cron),
            None => Err(CronError::Never(spec.to_owned())),
        }
    }

    /// The first time after another one, both in milliseconds since 1970.
    #[must_use]
    pub fn next(&self, after_ms: i64) -> Option<i64> {
        let after = Timestamp::from_millisecond(after_ms).ok()?;
        let begin = self.zone.to_datetime(after);
        let last = begin.year().saturating_add(YEARS);
        let mut time = date(begin.year(), begin.month(), begin.day())
            .at(begin.hour(), begin.minute(), 0, 0)
            .checked_add(1.minute())
            .ok()?;
        while time.year() <= last {
            if let Some(later) = self.skipped(time)? {
                time = later;
                continue;
            }
            let found = self.zone.to_ambiguous_zoned_datetime(time).compatible().ok()?;
            if found.timestamp() > after {
                return Some(found.timestamp().as_millisecond());
            }
            time = time.checked_add(1.minute()).ok()?;
        }
        None
    }

    /// A later time from which to go on, if this one is not of the schedule; `Some(None)` if it is.
    #[expect(clippy::option_option, reason = "the outer one is the end of the calendar")]
    fn skipped(&self, time: DateTime) -> Option<Option<DateTime>> {
        let midnight = || date(time.year(), time.month(), time.day()).at(0, 0, 0, 0);
        if !has(self.months, time.month()) {
            let first = time.date().first_of_month().at(0, 0, 0, 0);
            return Some(Some(first.checked_add(1.month()).ok()?));
        }
        let on_date = has(self.days, time.day());
        let on_weekday = has(self.weekdays, time.weekday().to_sunday_zero_offset());
        let counts = if self.either_day { on_date || on_weekday } else { on_date && on_weekday };
        if !counts {
            return Some(Some(midnight().checked_add(1.day()).ok()?));
        }
        if !has(self.hours, time.hour()) {
            let hour = time.date().at(time.hour(), 0, 0, 0);
            return Some(Some(hour.checked_add(1.hour()).ok()?));
        }
        if !has(self.minutes, time.minute()) {
            return Some(Some(time.checked_add(1.minute()).ok()?));
        }
        Some(None)
    }
}

/// The name of the run of a schedule for a time.
#[must_use]
pub fn run_name(schedule: &str, time_ms: i64) -> String {
    let time = Timestamp::from_millisecond(time_ms).unwrap_or_default();
    format!("{schedule}@{}", time.strftime("%Y-%m-%dT%H:%MZ"))
}

fn has(mask: u64, number: i8) -> bool {
    u32::try_from(number).is_ok_and(|number| mask & (1 << number) != 0)
}

/// The numbers of a field, as bits.
fn mask_of(text: &str, (field, first, last): (&'static str, u32, u32)) -> Result<u64, CronError> {
    let mut mask = 0;
    for part in text.split(',') {
        let wrong = || CronError::Field { part: part.to_owned(), field, first, last };
        let number = |digits: &str| -> Result<u32, CronError> {
            let number = digits.parse().map_err(|_not| wrong())?;
            if (first..=last).contains(&number) { Ok(number) } else { Err(wrong()) }
        };
        let (range, step) = match part.split_once('/') {
            None => (part, 1),
            Some((range, step)) => (range, step.parse::<u32>().map_err(|_not| wrong())?),
        };
        let (from, to) = match (range, range.split_once('-')) {
            ("*", _) => (first, last),
            (_, Some((from, to))) => (number(from)?, number(to)?),
            (single, None) if part == range => (number(single)?, number(single)?),
            (single, None) => (number(single)?, last),
        };
        if step == 0 || from > to {
            return Err(wrong());
        }
        let mut at = from;
        while at <= to {
            mask |= 1 << at;
            at += step;
        }
    }
    Ok(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn next(spec: &str, zone: &str, after: &str) -> String {
        let next = Cron::parse(spec, zone).unwrap().next(ms(after)).unwrap();
        Timestamp::from_millisecond(next).unwrap().to_string()
    }

    #[test]
    fn the_next_time_follows_the_fields() {
        let after = "2026-11-20T10:07:30Z";
        assert_eq!(next("* * * * *", "UTC", after), "2026-11-20T10:08:00Z");
        assert_eq!(next("*/15 * * * *", "UTC", after), "2026-11-20T10:15:00Z");
        assert_eq!(next("30 9 * * *", "UTC", after), "2026-11-21T09:30:00Z");
        assert_eq!(next("0 0 1 1 *", "UTC", after), "2027-01-01T00:00:00Z");
        assert_eq!(next("0 12 29 2 *", "UTC", after), "2028-02-29T12:00:00Z");
        assert_eq!(next("0 8-10/2,12 * * 1-5", "UTC", after), "2026-11-20T12:00:00Z");
        assert_eq!(next("0 0 * * 7", "UTC", after), "2026-11-22T00:00:00Z");
        assert_eq!(next("0 0 13 * 5", "UTC", after), "2026-11-27T00:00:00Z", "a date or a weekday");
        assert_eq!(next("0 0 * * *", "Europe/Berlin", after), "2026-11-20T23:00:00Z");
    }

    #[test]
    fn changes_of_the_clock_neither_lose_nor_double_a_time() {
        // 29 March 2026, 2:30 does not exist in Berlin; 25 October 2026, 2:30 exists twice.
        let cron = Cron::parse("30 2 * * *", "Europe/Berlin").unwrap();
        let mut time = ms("2026-03-27T12:00:00Z");
        let mut days = Vec::new();
        for _ in 0..3 {
            time = cron.next(time).unwrap();
            days.push(Timestamp::from_millisecond(time).unwrap().to_string());
        }
        assert_eq!(days, ["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"]);
        let twice = cron.next(ms("2026-10-24T12:00:00Z")).unwrap();
        assert_eq!(twice, ms("2026-10-25T00:30:00Z"));
        assert_eq!(cron.next(twice).unwrap(), ms("2026-10-26T01:30:00Z"));
    }

    #[test]
    fn wrong_schedules_are_refused() {
        for spec in
            ["* * * *", "60 * * * *", "* * * * 8", "5-1 * * * *", "*/0 * * * *", "x * * * *"]
        {
            assert!(Cron::parse(spec, "UTC").is_err(), "{spec}");
        }
        assert_eq!(
            Cron::parse("0 0 31 2 *", "").unwrap_err(),
            CronError::Never("0 0 31 2 *".into())
        );
        assert!(matches!(Cron::parse("* * * * *", "Mars/Base"), Err(CronError::Zone(_))));
        assert_eq!(run_name("nightly", ms("2026-11-20T00:00:00Z")), "nightly@2026-11-20T00:00Z");
    }
}
