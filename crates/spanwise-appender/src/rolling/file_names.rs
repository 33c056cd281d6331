//! What files are called, and which names are ours.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
};

use time::{Date, Month};

use super::{
    compression::Compression,
    file_numbers::HighestNumbers,
    fs::{Dir, Meta, is_same},
};

/// The names of one log: `app.log` is written, `app.2026-11-20.3.log` was.
#[derive(Debug, Clone)]
pub(super) struct FileNames {
    dir: PathBuf,
    stem: OsString,
    /// With its dot, or empty.
    extension: OsString,
    current: PathBuf,
    /// Whatever the slot.
    latest: OsString,
}

/// Which of the rolled files it is. Newer ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RolledId {
    /// Of the first record.
    pub(super) date: Date,
    /// From 1, each given once.
    pub(super) number: u64,
}

/// A file in the directory whose name is one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RolledFile {
    pub(super) rolled: RolledId,
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

impl FileNames {
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
            latest,
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

    pub(super) fn current_name(&self) -> &OsStr {
        self.current.file_name().unwrap_or_default()
    }

    /// The path of a file, for those who are told of it.
    pub(super) fn path(&self, name: &OsStr) -> PathBuf {
        self.dir.join(name)
    }

    /// What the next file is called until it is the current one. Always empty.
    pub(super) fn next(&self) -> OsString {
        self.hidden(".new")
    }

    pub(super) fn lock(&self) -> OsString {
        self.hidden(".lock")
    }

    /// A file that is made to see what the system makes of it, and removed.
    pub(super) fn probe(&self) -> OsString {
        self.hidden(".probe")
    }

    fn hidden(&self, suffix: &str) -> OsString {
        let parts = [
            OsStr::new("."),
            &self.stem,
            &self.extension,
            OsStr::new(suffix),
        ];
        concat(&parts)
    }

    pub(super) fn rolled(&self, RolledId { date, number }: RolledId, form: Form) -> OsString {
        let (year, month, day) = date.to_calendar_date();
        let month = u8::from(month);
        let middle = format!(".{year:04}-{month:02}-{day:02}.{number}");
        let parts = [
            &self.stem,
            OsStr::new(&middle),
            &self.extension,
            OsStr::new(form.suffix()),
        ];
        concat(&parts)
    }

    /// How long the longest of the names is.
    pub(super) fn longest(&self, rolls: bool, compression: Compression, links: bool) -> usize {
        let rolled = RolledId {
            date: Date::MAX,
            number: MAX_NUMBER,
        };
        let form = Form::packed(compression).map_or(Form::Plain, |(unfinished, _)| unfinished);
        let names = [
            Some(self.current_name().to_owned()),
            Some(self.probe()),
            rolls.then(|| self.rolled(rolled, form)),
            links.then(|| self.next_latest()),
            links.then(|| self.latest.clone()),
        ];
        let lengths = names.iter().flatten().map(|name| name.len());
        lengths.max().unwrap_or(0)
    }

    /// What a name of our pattern, and no other, means.
    fn parse(&self, name: &OsStr) -> Option<RolledFile> {
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
        let rolled = RolledId {
            date: parse_date(str::from_utf8(date).ok()?)?,
            number: parse_number(str::from_utf8(number).ok()?)?,
        };
        Some(RolledFile { rolled, form })
    }

    /// All rolled files, in no order. What is not a regular file is not one of them.
    pub(super) fn list(&self, dir: &Dir) -> io::Result<Vec<RolledFile>> {
        let mut entries = Vec::new();
        for file in dir.names()? {
            let (name, is_file) = file?;
            entries.extend(self.parse(&name).filter(|_| is_file));
        }
        Ok(entries)
    }

    /// The highest number of each date; `None` if the directory has more names than `most`.
    pub(super) fn numbers(&self, dir: &Dir, most: usize) -> io::Result<Option<HighestNumbers>> {
        let mut highest = HighestNumbers::new();
        for (index, file) in dir.names()?.enumerate() {
            if index >= most {
                return Ok(None);
            }
            // Whatever it is that has the name: it cannot be given.
            if let Some(RolledFile { rolled, .. }) = self.parse(&file?.0) {
                let number = highest.entry(rolled.date).or_insert(0);
                *number = rolled.number.max(*number);
            }
        }
        Ok(Some(highest))
    }

    /// Whether a file of this number lies there in any form.
    pub(super) fn is_taken(&self, rolled: RolledId, dir: &Dir) -> bool {
        let mut forms = Form::ALL.into_iter();
        forms.any(|form| dir.meta(&self.rolled(rolled, form)).is_ok())
    }

    /// The names of ours that a file has besides the current one: a process ended while it gave it another.
    pub(super) fn own_links(&self, file: &Meta, dir: &Dir) -> Vec<OsString> {
        let rolled = self.list(dir).unwrap_or_default();
        let names = rolled
            .iter()
            .map(|entry| self.rolled(entry.rolled, entry.form));
        let names = names.chain([self.next()]);
        let is_it = |name: &OsString| dir.meta(name).is_ok_and(|meta| is_same(&meta, file));
        names.filter(is_it).collect()
    }

    /// The link to the file that is written.
    pub(super) fn latest(&self) -> &OsStr {
        &self.latest
    }

    /// What that link is called until it takes its place.
    pub(super) fn next_latest(&self) -> OsString {
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

/// A number as it is given: from 1, without leading zeros, and not above the highest.
pub(super) fn parse_number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let number = plain.then(|| text.parse().ok())?;
    number.filter(|number| *number <= MAX_NUMBER)
}

/// The highest number of a rolled file.
pub(super) const MAX_NUMBER: u64 = 999_999_999_999_999_999;

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
        let RolledFile { rolled, form } =
            FileNames::new(Path::new(path), 1).parse(OsStr::new(name))?;
        Some((rolled.date.to_string(), rolled.number, form))
    }

    #[test]
    fn rolled_names_round_trip() {
        for (path, slot) in [
            ("logs/app.log", 1),
            ("app", 1),
            ("app", 3),
            ("a.b.c", 2),
            (".hidden", 1),
        ] {
            let names = FileNames::new(Path::new(path), slot);
            for form in Form::ALL {
                let rolled = RolledId {
                    date: parse_date("2024-02-29").unwrap(),
                    number: 17,
                };
                assert_eq!(
                    names.parse(&names.rolled(rolled, form)),
                    Some(RolledFile { rolled, form })
                );
            }
        }
        let names = FileNames::new(Path::new("logs/app.log"), 2);
        assert_eq!(names.current(), Path::new("logs/app.2.log"));
        assert_eq!(names.next(), ".app.2.log.new");
        assert_eq!(
            FileNames::new(Path::new("app"), 2).current(),
            Path::new("./app.2")
        );
    }

    #[test]
    fn similar_names_are_not_ours() {
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
