//! Dates for chat templates: `strftime_now`.
//!
//! Here: a civil date and time, from the system's clock or from the caller, and the fields of `strftime` that
//! templates use. Not here: time zones; a caller who wants local time passes it.

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A moment by calendar and clock, in the time zone that a template shall show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CivilTime {
    /// Year, e.g. 2026.
    pub year: i32,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59.
    pub second: u8,
}

impl CivilTime {
    /// The system's clock, in UTC; none on the web.
    pub fn from_system_clock() -> Option<Self> {
        if cfg!(all(target_family = "wasm", target_os = "unknown")) {
            return None;
        }
        let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
        Some(Self::from_unix(seconds))
    }

    /// A moment from seconds since 1970-01-01 00:00 UTC (leap seconds not counted).
    pub fn from_unix(seconds: u64) -> Self {
        // Days are counted from 0000-03-01, so that the leap day is the last of its year and 400 years are a cycle.
        let days = (seconds / 86_400) as i64 + 719_468;
        let (cycle, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let date = day - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + 400 * cycle + i64::from(month <= 2);
        let clock = (seconds % 86_400) as u32;
        Self {
            year: year as i32,
            month: month as u8,
            day: date as u8,
            hour: (clock / 3_600) as u8,
            minute: (clock / 60 % 60) as u8,
            second: (clock % 60) as u8,
        }
    }

    /// Day of the year, from 1.
    fn day_of_year(&self) -> u32 {
        const BEFORE: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let before = BEFORE.get(usize::from(self.month).wrapping_sub(1)).copied().unwrap_or_default();
        before + u32::from(self.day) + u32::from(leap && self.month > 2)
    }

    /// Day of the week, Monday is 0.
    fn weekday(&self) -> usize {
        let years = i64::from(self.year) - 1;
        let days = 365 * years + years.div_euclid(4) - years.div_euclid(100) + years.div_euclid(400);
        (days + i64::from(self.day_of_year()) - 1).rem_euclid(7) as usize
    }

    /// C's `strftime` with English names, for the fields that templates use; else the field that is not known.
    pub(super) fn format(&self, format: &str) -> std::result::Result<String, String> {
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let field = chars.next().unwrap_or('%');
            let (plain, field) = if field == '-' { (true, chars.next().unwrap_or('-')) } else { (false, field) };
            out.push_str(&self.field(field, plain).ok_or_else(|| format!("%{field}"))?);
        }
        Ok(out)
    }

    /// One field of `strftime`; `plain` without leading zeros.
    fn field(&self, field: char, plain: bool) -> Option<String> {
        let month = MONTHS.get(usize::from(self.month).wrapping_sub(1)).copied().unwrap_or("?");
        let day = DAYS[self.weekday()];
        let number = |value: u32, width: usize| if plain { value.to_string() } else { format!("{value:0width$}") };
        Some(match field {
            'Y' => self.year.to_string(),
            'y' => number(self.year.rem_euclid(100) as u32, 2),
            'm' => number(self.month.into(), 2),
            'd' => number(self.day.into(), 2),
            'e' => {
                if plain {
                    self.day.to_string()
                } else {
                    format!("{:2}", self.day)
                }
            }
            'j' => number(self.day_of_year(), 3),
            'H' => number(self.hour.into(), 2),
            'I' => number((u32::from(self.hour) + 11) % 12 + 1, 2),
            'M' => number(self.minute.into(), 2),
            'S' => number(self.second.into(), 2),
            'p' => if self.hour < 12 { "AM" } else { "PM" }.to_owned(),
            'B' => month.to_owned(),
            'b' | 'h' => month.chars().take(3).collect(),
            'A' => day.to_owned(),
            'a' => day.chars().take(3).collect(),
            'F' => format!("{}-{:02}-{:02}", self.year, self.month, self.day),
            'T' => format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second),
            '%' => "%".to_owned(),
            _ => return None,
        })
    }
}
