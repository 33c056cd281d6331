//! Names of the files of a log, and the search for rolled files by their names.

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

/// The names of one log: `app.log` is the active file, `app.2026-11-20.3.log` is a rolled file.
#[derive(Debug, Clone)]
pub(super) struct FileNames {
    dir: PathBuf,
    /// The name of the active file without its extension: `app`, or `app.2` for slot 2.
    stem: OsString,
    /// The extension with its dot, or empty.
    extension: OsString,
    active_path: PathBuf,
    /// The name of the link to the active file, the same for all processes that log to one path.
    latest_link: OsString,
}

/// The identity of a rolled file. Ordered by age: the newest is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RolledId {
    /// The date of the first record.
    pub(super) date: Date,
    /// A number from 1, unique among the rolled files of this date.
    pub(super) number: u64,
}

/// A rolled file of this log, as its name describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RolledFile {
    pub(super) id: RolledId,
    pub(super) form: Form,
}

/// The form of a rolled file: plain, compressed, or partly compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    Plain,
    Gzip,
    Zstd,
    /// The compression is in progress, or was interrupted.
    GzipUnfinished,
    ZstdUnfinished,
}

impl FileNames {
    /// Creates the names of the log at `path`. If several processes log to one path, each has its
    /// own slot, a number from 1. With slot 1 the file is `app.log`, with slot 2 it is `app.2.log`.
    pub(super) fn new(path: &Path, slot: u32) -> Self {
        let mut stem = path.file_stem().unwrap_or_default().to_owned();
        let mut latest_link = stem.clone();
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
        latest_link.push(".latest");
        latest_link.push(&extension);
        Self {
            active_path: dir.join(OsString::from_iter([&*stem, &*extension])),
            latest_link,
            dir,
            stem,
            extension,
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn active_path(&self) -> &Path {
        &self.active_path
    }

    pub(super) fn active_name(&self) -> &OsStr {
        self.active_path.file_name().unwrap_or_default()
    }

    /// Returns the path of the file with this name, for messages.
    pub(super) fn path(&self, name: &OsStr) -> PathBuf {
        self.dir.join(name)
    }

    /// Returns the temporary name of the next file. The next file is empty until a roll makes it
    /// the active file.
    pub(super) fn next_file_name(&self) -> OsString {
        self.hidden(".new")
    }

    pub(super) fn lock_name(&self) -> OsString {
        self.hidden(".lock")
    }

    /// Returns the name of a file that is created and removed, to learn the owner and mode of new
    /// files.
    pub(super) fn probe_name(&self) -> OsString {
        self.hidden(".probe")
    }

    fn hidden(&self, suffix: &str) -> OsString {
        let (dot, suffix) = (OsStr::new("."), OsStr::new(suffix));
        OsString::from_iter([dot, &self.stem, &self.extension, suffix])
    }

    pub(super) fn rolled_name(&self, RolledId { date, number }: RolledId, form: Form) -> OsString {
        let (year, month, day) = date.to_calendar_date();
        let month = u8::from(month);
        let middle = format!(".{year:04}-{month:02}-{day:02}.{number}");
        let (middle, suffix) = (OsStr::new(&middle), OsStr::new(form.suffix()));
        OsString::from_iter([&self.stem, middle, &self.extension, suffix])
    }

    /// Returns the length of the longest name that a file of this log can have, in bytes. `rolls`
    /// and `links` mean that the log rolls, and that it has a link to the active file.
    pub(super) fn max_name_len(&self, rolls: bool, compression: Compression, links: bool) -> usize {
        let rolled = RolledId {
            date: Date::MAX,
            number: MAX_NUMBER,
        };
        let forms = Form::compressed_forms(compression);
        let longest_form = forms.map_or(Form::Plain, |(unfinished, _)| unfinished);
        let names = [
            Some(self.active_name().to_owned()),
            Some(self.probe_name()),
            rolls.then(|| self.rolled_name(rolled, longest_form)),
            links.then(|| self.next_latest_link_name()),
            links.then(|| self.latest_link.clone()),
        ];
        let lengths = names.iter().flatten().map(|name| name.len());
        lengths.max().unwrap_or(0)
    }

    /// Parses the name of a rolled file of this log. Returns `None` for any other name.
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
        let id = RolledId {
            date: parse_date(str::from_utf8(date).ok()?)?,
            number: parse_number(str::from_utf8(number).ok()?)?,
        };
        Some(RolledFile { id, form })
    }

    /// Returns all rolled files, unordered. Ignores names of anything but regular files.
    pub(super) fn list_rolled(&self, dir: &Dir) -> io::Result<Vec<RolledFile>> {
        let mut entries = Vec::new();
        for file in dir.names()? {
            let (name, is_file) = file?;
            entries.extend(self.parse(&name).filter(|_| is_file));
        }
        Ok(entries)
    }

    /// Returns the highest number of each date. Returns `None` if the directory has more than
    /// `max_names`.
    pub(super) fn highest_numbers(
        &self,
        dir: &Dir,
        max_names: usize,
    ) -> io::Result<Option<HighestNumbers>> {
        let mut highest = HighestNumbers::new();
        for (index, file) in dir.names()?.enumerate() {
            if index >= max_names {
                return Ok(None);
            }
            let (name, _) = file?;
            // A directory or a link with such a name also takes the number.
            if let Some(RolledFile { id, .. }) = self.parse(&name) {
                let number = highest.entry(id.date).or_insert(0);
                *number = id.number.max(*number);
            }
        }
        Ok(Some(highest))
    }

    /// Returns whether a file with this date and number exists in any form.
    pub(super) fn is_taken(&self, id: RolledId, dir: &Dir) -> bool {
        let mut forms = Form::ALL.into_iter();
        forms.any(|form| dir.meta(&self.rolled_name(id, form)).is_ok())
    }

    /// Returns the further names (hard links) that a roll gave to the active file. The file has any
    /// only if a process ended during a roll.
    pub(super) fn own_links(&self, file: &Meta, dir: &Dir) -> Vec<OsString> {
        let rolled = self.list_rolled(dir).unwrap_or_default();
        let names = rolled
            .iter()
            .map(|file| self.rolled_name(file.id, file.form));
        let names = names.chain([self.next_file_name()]);
        let is_same_file = |name: &OsString| dir.meta(name).is_ok_and(|meta| is_same(&meta, file));
        names.filter(is_same_file).collect()
    }

    /// Returns the name of the link to the active file.
    pub(super) fn latest_link_name(&self) -> &OsStr {
        &self.latest_link
    }

    /// Returns the temporary name of a new link, before it replaces the old link.
    pub(super) fn next_latest_link_name(&self) -> OsString {
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

    /// Returns the compression, or `None` if the compression is not complete.
    pub(super) const fn compression(self) -> Option<Compression> {
        match self {
            Self::Plain => Some(Compression::None),
            Self::Gzip => Some(Compression::Gzip),
            Self::Zstd => Some(Compression::Zstd),
            Self::GzipUnfinished | Self::ZstdUnfinished => None,
        }
    }

    /// Returns the forms of a file during and after this compression.
    pub(super) const fn compressed_forms(compression: Compression) -> Option<(Self, Self)> {
        match compression {
            Compression::None => None,
            Compression::Gzip => Some((Self::GzipUnfinished, Self::Gzip)),
            Compression::Zstd => Some((Self::ZstdUnfinished, Self::Zstd)),
        }
    }
}

/// Parses a date such as `2026-11-20`. Returns `None` if there is no such date.
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

/// Parses the number of a rolled file: from 1 to [`MAX_NUMBER`], without leading zeros.
pub(super) fn parse_number(text: &str) -> Option<u64> {
    let is_canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let number = is_canonical.then(|| text.parse().ok())?;
    number.filter(|number| *number <= MAX_NUMBER)
}

/// The highest number of a rolled file: the largest one of 18 digits, which fits into a `u64`.
pub(super) const MAX_NUMBER: u64 = 999_999_999_999_999_999;
