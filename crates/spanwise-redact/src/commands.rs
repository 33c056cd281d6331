//! Secrets in command-line arguments.
//!
//! Named options (`--password x`, `-storepass x`) are checked like keys. The meaning of a
//! one-letter option depends on the command, so a table lists commands with their options. A
//! command ends at the end of its line, or at a `|`, `;` or `&&`.

use crate::{
    byte_class::ByteClass,
    byte_search::{after_escape, find, is_space, matches_at, quote_at, run_end, run_start},
    credential, urls, value_end,
    word_lists::{FUNCTION_WORDS, OPTIONS, SENTENCE_STARTS, STATES, any_contains},
};

/// The form in which a command accepts a password.
#[derive(Debug, Clone, Copy)]
struct Flag {
    /// The ends of the names of commands. A path may precede them.
    commands: &'static [&'static str],
    /// A word that must precede the option, such as `login`.
    after: &'static str,
    /// Empty if the password is an argument without an option.
    options: &'static [&'static str],
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `-px`
    Attached,
    /// `-p x` and `-px`
    Either,
    /// `-p x`
    Separate,
    /// The part after the mark: `-u ada:x`.
    AfterMark(u8),
    /// `-passin pass:x`
    AfterPass,
    /// The word after `n` words that are not options. The command needs no option.
    Word(usize),
    /// `ada/x@db`
    Oracle,
    /// The value after the name of a setting.
    Setting,
}

const fn flag(
    commands: &'static [&'static str],
    after: &'static str,
    options: &'static [&'static str],
    form: Form,
) -> Flag {
    Flag {
        commands,
        after,
        options,
        form,
    }
}

#[rustfmt::skip] // a row each
const FLAGS: &[Flag] = &[
    flag(&["mysql", "mysqldump", "mysqladmin", "mysqlimport", "mysqlsh", "mariadb", "mariadb-dump"], "", &["-p"], Form::Attached),
    flag(&["sshpass"], "", &["-p"], Form::Either),
    flag(&["docker", "podman", "helm", "skopeo"], "login", &["-p"], Form::Either),
    flag(&["az"], "login", &["-p"], Form::Separate),
    flag(&["skopeo"], "", &["--creds", "--src-creds", "--dest-creds"], Form::AfterMark(b':')),
    flag(&["curl"], "", &["-u", "-U", "--user", "--proxy-user"], Form::AfterMark(b':')),
    flag(&["http"], "", &["-a"], Form::AfterMark(b':')),
    flag(&["lftp"], "", &["-u"], Form::AfterMark(b',')),
    flag(&["redis-cli"], "", &["-a"], Form::Separate),
    flag(&["mongo", "mongosh", "mongodump", "mongorestore", "mongoexport", "mongoimport"], "", &["-p"], Form::Either),
    flag(&["sqlcmd"], "", &["-P"], Form::Either),
    flag(&["ldapsearch", "ldapadd", "ldapmodify", "ldapdelete", "ldapwhoami", "ldappasswd"], "", &["-w"], Form::Either),
    flag(&["ldappasswd"], "", &["-s"], Form::Either),
    flag(&["smbclient"], "", &["-U"], Form::AfterMark(b'%')),
    flag(&["7z"], "", &["-p"], Form::Attached),
    flag(&["zip", "unzip"], "", &["-P"], Form::Either),
    flag(&["openssl"], "", &["-passin", "-passout", "-pass"], Form::AfterPass),
    flag(&["openssl"], "", &["-k", "-K"], Form::Separate),
    flag(&["ipmitool"], "", &["-P"], Form::Either),
    flag(&["cqlsh"], "", &["-p"], Form::Either),
    flag(&["keytool"], "", &["-storepass", "-keypass", "-srcstorepass", "-deststorepass"], Form::Separate),
    flag(&["jarsigner"], "", &["-storepass", "-keypass"], Form::Separate),
    flag(&["htpasswd"], "", &[], Form::Word(2)),
    flag(&["rabbitmqctl"], "add_user", &[], Form::Word(1)),
    flag(&["rabbitmqctl"], "change_password", &[], Form::Word(1)),
    flag(&["vault"], "login", &[], Form::Word(0)),
    flag(&["mc"], "set", &[], Form::Word(3)),
    flag(&["sqlplus"], "", &[], Form::Oracle),
    flag(&["setx", "set"], "", &[], Form::Setting),
];

/// One bit per flag.
const _: () = assert!(FLAGS.len() <= u64::BITS as usize);

/// Calls `found` with the start and the end of each argument that may be secret, and with the name
/// of its option. An argument without a name is secret because of its command.
pub(crate) fn arguments<'t>(text: &'t str, mut found: impl FnMut(Option<&'t str>, usize, usize)) {
    let bytes = text.as_bytes();
    let mut line = Line::default();
    let mut at = 0;
    loop {
        let start = run_end(bytes, at, is_space);
        if find(&bytes[..start], b'\n', at).is_some() {
            line = Line::default();
        }
        if start >= bytes.len() {
            return;
        }
        let end = run_end(bytes, start, |byte| !is_space(byte));
        at = line.word(text, start, end, &mut found).max(end);
    }
}

/// The state of a command line.
#[derive(Debug, Default)]
struct Line {
    /// One bit for each of [`FLAGS`] whose command was read.
    commands: u64,
    /// One bit for each of [`FLAGS`] whose second word was read too.
    ready: u64,
    /// The number of words since then that are not options.
    words: usize,
    /// The option or setting whose value comes next.
    expected: Option<Expected>,
}

#[derive(Debug, Clone, Copy)]
enum Expected {
    /// The start and the end of a name.
    Named(usize, usize),
    Form(Form),
}

impl Line {
    /// Reads one word and returns where the next may begin.
    fn word<'t>(
        &mut self,
        text: &'t str,
        start: usize,
        end: usize,
        found: &mut impl FnMut(Option<&'t str>, usize, usize),
    ) -> usize {
        let bytes = text.as_bytes();
        if matches!(&bytes[start..end], b"|" | b";" | b"&&" | b"||") {
            *self = Self::default();
            return end;
        }
        if let Some(expected) = self.expected.take() {
            // A quote that closes the text around the option does not begin a value.
            let is_end = matches!(bytes[start], b'"' | b'\'')
                && bytes[start + 1..end]
                    .iter()
                    .all(|byte| b"}]),".contains(byte));
            let (from, to) = value(bytes, start);
            if !is_end && from < to && bytes[from] != b'-' {
                push(text, expected, from, to, found);
                return to;
            }
        }
        let word = trimmed(bytes, start, end);
        let (start, stop) = word;
        let word = &bytes[start..stop];
        let is_last = bytes[stop..end].iter().any(|byte| b".;:)".contains(byte));
        if word.first() == Some(&b'-') {
            let is_flag = self.flag(text, start, stop, found);
            let name = start + run_end(word, 0, |byte| byte == b'-');
            let is_name = stop - name >= 2
                && bytes[name..stop]
                    .iter()
                    .all(|byte| ByteClass::KEY.has(*byte));
            let is_long = name - start == 2 || name - start == 1 && stop - name >= 4;
            if !is_flag && is_name && is_long && !is_last {
                self.expected = Some(Expected::Named(name, stop));
            }
        } else {
            self.positional(text, start, stop, found);
        }
        if end > stop && matches!(bytes[end - 1], b';' | b'|') {
            *self = Self::default();
        }
        end
    }

    /// Reads an option, and returns whether it belongs to one of the commands.
    fn flag<'t>(
        &mut self,
        text: &'t str,
        start: usize,
        stop: usize,
        found: &mut impl FnMut(Option<&'t str>, usize, usize),
    ) -> bool {
        let bytes = text.as_bytes();
        let word = &bytes[start..stop];
        for (option, flag) in self
            .flags_in(self.ready)
            .flat_map(|(_, flag)| flag.options.iter().map(move |option| (option, flag)))
        {
            let option = option.as_bytes();
            let is_short = option.len() == 2;
            if word == option {
                if is_short && matches!(bytes.get(stop), Some(b'"' | b'\'')) {
                    let (from, to) = value(bytes, stop);
                    push(text, Expected::Form(flag.form), from, to, found);
                } else if flag.form != Form::Attached {
                    self.expected = Some(Expected::Form(flag.form));
                }
                return true;
            }
            // `--user=ada:x`, `-su ada:x`
            if flag.form == Form::AfterMark(b':')
                && let Some(joined) = Self::joined(word, option)
            {
                if joined < word.len() {
                    let (from, to) = value(bytes, start + joined);
                    push(text, Expected::Form(flag.form), from, to, found);
                } else {
                    self.expected = Some(Expected::Form(flag.form));
                }
                return true;
            }
            let is_attached = is_short && word.starts_with(option) && flag.form != Form::Separate;
            if is_attached {
                let (from, to) = value(bytes, start + 2);
                push(text, Expected::Form(flag.form), from, to, found);
                return true;
            }
        }
        false
    }

    /// Returns the start of the value in a word that contains both an option and its value.
    fn joined(word: &[u8], option: &[u8]) -> Option<usize> {
        if option.len() > 2 {
            let is_match = word.starts_with(option) && word.get(option.len()) == Some(&b'=');
            return is_match.then_some(option.len() + 1);
        }
        let is_several = word.len() <= 5
            && word.get(1).is_some_and(|byte| *byte != b'-')
            && word[1..].iter().all(u8::is_ascii_alphabetic);
        (is_several && word.last() == option.last()).then_some(word.len())
    }

    fn flags_in(&self, bits: u64) -> impl Iterator<Item = (usize, &'static Flag)> + use<> {
        let flags = FLAGS.iter().enumerate();
        flags.filter(move |(index, _)| bits >> index & 1 != 0)
    }

    fn positional<'t>(
        &mut self,
        text: &'t str,
        start: usize,
        stop: usize,
        found: &mut impl FnMut(Option<&'t str>, usize, usize),
    ) {
        let bytes = text.as_bytes();
        let word = &bytes[start..stop];
        let mut setting = false;
        for (_, flag) in self
            .flags_in(self.ready)
            .filter(|(_, flag)| flag.options.is_empty())
        {
            match flag.form {
                Form::Word(before) if before == self.words => {
                    let from = start - usize::from(bytes[..start].ends_with(b"["));
                    let (from, to) = value(bytes, from);
                    push(text, Expected::Form(Form::Separate), from, to, found);
                }
                Form::Oracle => {
                    if let Some((from, to)) = urls::oracle(bytes, start) {
                        found(None, from, to);
                    }
                }
                Form::Setting => setting = true,
                _ => {}
            }
        }
        let is_name = word.len() > 3 && word.iter().all(|byte| ByteClass::KEY.has(*byte));
        if setting && is_name && self.words == 0 {
            self.expected = Some(Expected::Named(start, stop));
        }
        self.words += 1;
        // A path, a quote or an escape may precede the name.
        let begun = ByteClass::KEY.run_start(word, word.len(), 32);
        let name = after_escape(bytes, start + begun).min(stop);
        let name = &bytes[name..stop];
        for (index, flag) in FLAGS.iter().enumerate() {
            let mut commands = flag.commands.iter();
            if commands.any(|command| command.as_bytes() == name) {
                self.commands |= 1 << index;
                if flag.after.is_empty() {
                    self.ready |= 1 << index;
                    self.words = 0;
                }
            }
        }
        for (index, flag) in self.flags_in(self.commands) {
            if !flag.after.is_empty() && flag.after.as_bytes() == word {
                self.ready |= 1 << index;
                self.words = 0;
            }
        }
    }
}

/// Returns a value, quoted or not.
fn value(text: &[u8], start: usize) -> (usize, usize) {
    match quote_at(text, start) {
        Some(((mark, slashes), start)) => value_end::quoted(text, start, mark, slashes, None),
        None => (start, urls::end_of_run(text, start)),
    }
}

fn push<'t>(
    text: &'t str,
    expected: Expected,
    start: usize,
    end: usize,
    found: &mut impl FnMut(Option<&'t str>, usize, usize),
) {
    let bytes = text.as_bytes();
    let content = &bytes[start..end];
    let mut start = start;
    match expected {
        Expected::Named(from, to) => {
            let key = &text[from..to];
            if !is_prose(content, &bytes[from..to]) {
                found(Some(key), start, end);
            }
            return;
        }
        Expected::Form(Form::AfterMark(mark)) => match find(content, mark, 0) {
            Some(at) => start += at + 1,
            None => return,
        },
        Expected::Form(Form::AfterPass) => {
            if !matches_at(bytes, start, b"pass:") {
                return;
            }
            start += b"pass:".len();
        }
        Expected::Form(_) => {}
    }
    let content = &bytes[start..end];
    if start < end && !credential::is_placeholder(content) {
        found(None, start, end);
    }
}

/// Returns whether the word after an option continues a sentence or is a placeholder: `pass --token
/// to log in`, `--password PASSWORD`.
fn is_prose(content: &[u8], name: &[u8]) -> bool {
    let lists = [STATES, SENTENCE_STARTS, FUNCTION_WORDS, OPTIONS];
    let plain = content
        .strip_suffix(b",")
        .or_else(|| content.strip_suffix(b"."))
        .unwrap_or(content);
    let is_upper = plain
        .iter()
        .all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
    credential::is_placeholder(content)
        || matches!(content, [b'[' | b'(' | b'<' | b'|' | b'=', rest @ ..] if rest.iter().all(|byte| !byte.is_ascii_digit()))
        || content.len() <= 24 && any_contains(&lists, plain)
        || content.len() <= 64 && is_upper && is_end_of(plain, name)
}

/// Returns whether a name ends with these letters, ignoring case and punctuation.
fn is_end_of(letters: &[u8], name: &[u8]) -> bool {
    let is_letter = |byte: &&u8| byte.is_ascii_alphanumeric();
    let mut name = name.iter().rev().filter(is_letter);
    let mut letters = letters.iter().rev().filter(is_letter);
    letters.all(|letter| {
        name.next()
            .is_some_and(|known| known.eq_ignore_ascii_case(letter))
    })
}

/// Returns a word without the quotes, brackets and commas around it.
fn trimmed(text: &[u8], start: usize, end: usize) -> (usize, usize) {
    let from = run_end(&text[..end], start, |byte| b"\"'`([{$,\\".contains(&byte));
    let is_after = |byte| b"\"'`)]},.;:\\".contains(&byte);
    (from, run_start(text, end, end - from, is_after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan;

    /// A row of the table is used only if a detector has a literal for its command.
    #[test]
    fn all_listed_commands_are_parsed() {
        let all = FLAGS
            .iter()
            .flat_map(|flag| flag.commands.iter().map(move |name| (flag, *name)));
        for (flag, name) in all.filter(|(_, name)| *name != "set") {
            let secret = match flag.form {
                Form::AfterMark(mark) => format!("ada{}Mo0nRi55", char::from(mark)),
                Form::AfterPass => "pass:Mo0nRi55".to_owned(),
                Form::Word(before) => "x ".repeat(before) + "Mo0nRi55",
                Form::Oracle => "ada/Mo0nRi55@db".to_owned(),
                Form::Setting => "API_TOKEN Mo0nRi55".to_owned(),
                Form::Attached | Form::Either | Form::Separate => "Mo0nRi55".to_owned(),
            };
            let gap = if flag.form == Form::Attached { "" } else { " " };
            let command = match name {
                "helm" => "helm registry",
                "7z" => "7z x",
                "mc" => "mc alias",
                command => command,
            };
            let options: &[&str] = if flag.options.is_empty() {
                &[""]
            } else {
                flag.options
            };
            for option in options {
                let words = [command, flag.after, option].join(" ");
                let line = format!("{}{gap}{secret}", words.trim_end().replace("  ", " "));
                let stats = scan::detect(line.as_bytes(), u32::MAX, &mut Vec::new());
                assert!(stats.command_line, "`{line}` is not read");
            }
        }
    }
}
