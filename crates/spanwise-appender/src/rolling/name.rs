//! What files are called, and which names are ours.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

use time::{Date, Month};

use super::compression::Compression;

/// The names of one log: `app.log` is written, `app.2026-11-20.3.log` was.
#[derive(Debug, Clone)]
pub(super) struct Names {
    dir: PathBuf,
    stem: OsString,
    /// With its dot, or empty.
    extension: OsString,
    current: PathBuf,
    /// Whatever the slot.
    latest: PathBuf,
}

/// Which of the rolled files it is. Newer ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rolled {
    /// Of the first record.
    pub(super) date: Date,
    /// From 1, each given once.
    pub(super) number: u64,
}

/// A file in the directory whose name is one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) rolled: Rolled,
    pub(super) form: Form,
}

/// In which form a rolled file lies there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    Plain,
    Gzip,
    Zstd,
    /// Work of a compression that was stopped, or goes on.
    GzipUnfinished,
    ZstdUnfinished,
}

impl Names {
    /// Those of the log at `path`, of which `slot` are taken by others: the second is `app.2.log`.
    pub(super) fn new(path: &Path, slot: u32) -> Self {
        let mut stem = path.file_stem().unwrap_or_default().to_owned();
        let mut latest = stem.clone();
        let mut extension = OsString::new();
        if let Some(last) = path.extension() {
            extension.push(".");
            extension.push(last);
        }
        if slot > 1 {
            stem.push(format!(".{slot}"));
        }
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
            _ => PathBuf::from("."),
        };
        latest.push(".latest");
        latest.push(&extension);
        Self {
            current: dir.join(concat(&[&stem, &extension])),
            latest: dir.join(latest),
            dir,
            stem,
            extension,
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn current(&self) -> &Path {
        &self.current
    }

    /// What the next file is called until it is the current one. Always empty.
    pub(super) fn next(&self) -> PathBuf {
        self.hidden(".new")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.hidden(".lock")
    }

    fn hidden(&self, suffix: &str) -> PathBuf {
        let parts = [
            OsStr::new("."),
            &self.stem,
            &self.extension,
            OsStr::new(suffix),
        ];
        self.dir.join(concat(&parts))
    }

    pub(super) fn rolled(&self, Rolled { date, number }: Rolled, form: Form) -> PathBuf {
        let (year, month, day) = date.to_calendar_date();
        let month = u8::from(month);
        let middle = format!(".{year:04}-{month:02}-{day:02}.{number}");
        let parts = [
            &self.stem,
            OsStr::new(&middle),
            &self.extension,
            OsStr::new(form.suffix()),
        ];
        self.dir.join(concat(&parts))
    }

    /// What a name of our pattern, and no other, means.
    fn parse(&self, name: &OsStr) -> Option<Entry> {
        let rest = name.as_encoded_bytes();
        let rest = rest
            .strip_prefix(self.stem.as_encoded_bytes())?
            .strip_prefix(b".")?;
        let (date, rest) = rest.split_at_checked(10)?;
        let rest = rest.strip_prefix(b".")?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = rest.split_at(digits);
        let suffix = rest.strip_prefix(self.extension.as_encoded_bytes())?;
        let form = Form::ALL
            .into_iter()
            .find(|form| form.suffix().as_bytes() == suffix)?;
        let rolled = Rolled {
            date: parse_date(str::from_utf8(date).ok()?)?,
            number: parse_number(str::from_utf8(number).ok()?)?,
        };
        Some(Entry { rolled, form })
    }

    /// All rolled files, in no order. What is not a regular file is not one of them.
    pub(super) fn list(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.dir)? {
            let file = file?;
            let Some(entry) = self.parse(&file.file_name()) else {
                continue;
            };
            if file.file_type().is_ok_and(|kind| kind.is_file()) {
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    /// The highest number of each date.
    pub(super) fn numbers(&self) -> io::Result<BTreeMap<Date, u64>> {
        let mut highest = BTreeMap::new();
        for file in fs::read_dir(&self.dir)? {
            // Whatever it is that has the name: it cannot be given.
            if let Some(Entry { rolled, .. }) = self.parse(&file?.file_name()) {
                let number = highest.entry(rolled.date).or_insert(0);
                *number = rolled.number.max(*number);
            }
        }
        Ok(highest)
    }

    /// Whether a file of this number lies there in any form.
    pub(super) fn is_taken(&self, rolled: Rolled) -> bool {
        let mut forms = Form::ALL.into_iter();
        forms.any(|form| self.rolled(rolled, form).symlink_metadata().is_ok())
    }

    /// The link to the file that is written.
    pub(super) fn latest(&self) -> &Path {
        &self.latest
    }

    /// What that link is called until it takes its place.
    pub(super) fn next_latest(&self) -> PathBuf {
        self.hidden(".latest")
    }
}

impl Form {
    const ALL: [Self; 5] = [
        Self::Plain,
        Self::Gzip,
        Self::Zstd,
        Self::GzipUnfinished,
        Self::ZstdUnfinished,
    ];

    const fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
            Self::GzipUnfinished => ".gz.tmp",
            Self::ZstdUnfinished => ".zst.tmp",
        }
    }

    pub(super) const fn is_unfinished(self) -> bool {
        matches!(self, Self::GzipUnfinished | Self::ZstdUnfinished)
    }

    /// How a file in this form is packed, if it is whole.
    pub(super) const fn compression(self) -> Option<Compression> {
        match self {
            Self::Plain => Some(Compression::None),
            Self::Gzip => Some(Compression::Gzip),
            Self::Zstd => Some(Compression::Zstd),
            Self::GzipUnfinished | Self::ZstdUnfinished => None,
        }
    }

    /// The form of a file while it is packed, and when it is.
    pub(super) const fn packed(by: Compression) -> Option<(Self, Self)> {
        match by {
            Compression::None => None,
            Compression::Gzip => Some((Self::GzipUnfinished, Self::Gzip)),
            Compression::Zstd => Some((Self::ZstdUnfinished, Self::Zstd)),
        }
    }
}

/// `2026-11-20`, if there is such a day.
pub(super) fn parse_date(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let mut part = |length: usize| {
        let part = parts.next()?;
        let digits = part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<u16>().ok())?
    };
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok()?;
    parts.next().is_none().then_some(date)
}

/// A number as it is given: from 1, without leading zeros, and such that there is always a next one.
pub(super) fn parse_number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit())
        && !text.starts_with('0')
        && text.len() <= 18;
    plain.then(|| text.parse().ok())?
}

fn concat(parts: &[&OsStr]) -> OsString {
    parts.iter().fold(OsString::new(), |mut name, part| {
        name.push(part);
        name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str, name: &str) -> Option<(String, u64, Form)> {
        let Entry { rolled, form } = Names::new(Path::new(path), 1).parse(OsStr::new(name))?;
        Some((rolled.date.to_string(), rolled.number, form))
    }

    #[test]
    fn own_names_read_back() {
        for (path, slot) in [
            ("logs/app.log", 1),
            ("app", 1),
            ("app", 3),
            ("a.b.c", 2),
            (".hidden", 1),
        ] {
            let names = Names::new(Path::new(path), slot);
            for form in Form::ALL {
                let rolled = Rolled {
                    date: parse_date("2024-02-29").unwrap(),
                    number: 17,
                };
                let path = names.rolled(rolled, form);
                assert_eq!(
                    names.parse(path.file_name().unwrap()),
                    Some(Entry { rolled, form })
                );
            }
        }
        let names = Names::new(Path::new("logs/app.log"), 2);
        assert_eq!(names.current(), Path::new("logs/app.2.log"));
        assert_eq!(names.next(), Path::new("logs/.app.2.log.new"));
        assert_eq!(
            Names::new(Path::new("app"), 2).current(),
            Path::new("./app.2")
        );
    }

    #[test]
    fn look_alikes_are_not_ours() {
        let gzip = Some(("2026-11-20".to_owned(), 3, Form::Gzip));
        assert_eq!(parse("app.log", "app.2026-11-20.3.log.gz"), gzip);
        for name in [
            "app.log",
            "app.log-payroll.db",
            "app.log.pgdump",
            "app.2026-11-20.3.log.bak",
            "app.2026-11-20.3.log.gz.bak",
            "app.2026-11-20.03.log",
            "app.2026-11-20.0.log",
            "app.2026-11-20..log",
            "app.2026-11-20.log",
            "app.2026-11-20.-3.log",
            "app.2026-11-20.9999999999999999999.log",
            "app.2026-02-29.3.log",
            "app.2026-13-01.3.log",
            "app.+026-11-20.3.log",
            "app.2026-11-2.33.log",
            "app2.2026-11-20.3.log",
            "app.2.2026-11-20.3.log",
            "App.2026-11-20.3.log",
            "app.2026-11-20.3",
            "app.2026-11-20.3.gz",
            "app.2026-11-20.3.logs",
        ] {
            assert_eq!(parse("app.log", name), None, "{name}");
        }
    }
}
