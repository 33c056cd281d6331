//! Secrets in command-line arguments.
//!
//! A named option (`--password x`, `-storepass x`) is reported as a key, and the key rules decide
//! whether to hide its value. The meaning of a one-letter option depends on the command, so a table
//! lists commands with their options. A command ends at the end of its line, or at a `|`, `||`, `;`
//! or `&&`.

use crate::{
    byte_class::ByteClass,
    byte_search::{after_escape, find, is_space, matches_at, quote_at, run_end, run_start},
    credential, urls, value_end,
    word_lists::{FUNCTION_WORDS, OPTIONS, SENTENCE_STARTS, STATES, any_contains},
};

/// A row of [`FLAGS`]: a way to pass a password to some commands.
#[derive(Debug, Clone, Copy)]
struct Flag {
    /// The names of the commands. In the text, a path may precede them.
    commands: &'static [&'static str],
    /// A word that must precede the password, such as `login`. Empty if there is none.
    subcommand: &'static str,
    /// The options for the password. Empty if the password is an argument without an option.
    options: &'static [&'static str],
    form: Form,
}

/// The notation of a password in the arguments. In the examples, `x` is the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `-px`
    Attached,
    /// `-p x` and `-px`
    Either,
    /// `-p x`
    Separate,
    /// The part of the argument after this mark: `-u ada:x`.
    AfterMark(u8),
    /// `-passin pass:x`
    AfterPass,
    /// An argument without an option, after this many other arguments: 0 for `vault login x`.
    Word(usize),
    /// An argument without an option: `ada/x@db`.
    Oracle,
    /// The value after the name of an environment variable, which is checked like a key:
    /// `setx API_TOKEN x`.
    Setting,
}

const fn flag(
    commands: &'static [&'static str],
    subcommand: &'static str,
    options: &'static [&'static str],
    form: Form,
) -> Flag {
    Flag {
        commands,
        subcommand,
        options,
        form,
    }
}

#[rustfmt::skip] // One line per row.
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

// The sets of rows in `Line` have one bit per row.
const _: () = assert!(FLAGS.len() <= u64::BITS as usize);

/// Calls `report` for each argument that may be secret, with the name of its option, its start and
/// its end. There is no name if the argument is a password of a listed command: then it is secret
/// without a check of the key rules.
pub(crate) fn arguments<'t>(text: &'t str, report: impl FnMut(Option<&'t str>, usize, usize)) {
    let bytes = text.as_bytes();
    let line = Line::default();
    let mut reader = LineReader { text, line, report };
    let mut at = 0;
    loop {
        let start = run_end(bytes, at, is_space);
        if find(&bytes[..start], b'\n', at).is_some() {
            reader.line = Line::default();
        }
        if start >= bytes.len() {
            return;
        }
        let end = end_of_word(bytes, start);
        at = reader.read_word(start, end).max(end);
    }
}

/// Returns the end of the word at `start`. It ends at white space or, in a list without spaces such
/// as `["--password","x"]`, where the next string begins.
fn end_of_word(text: &[u8], start: usize) -> usize {
    let is_quote = |byte: Option<&u8>| matches!(byte, Some(b'"' | b'\''));
    let mut end = start;
    loop {
        end = run_end(text, end, |byte| !is_space(byte) && !b",[".contains(&byte));
        let ends_string = end > start && is_quote(text.get(end - 1));
        match text.get(end) {
            Some(b',') if !ends_string => {}
            Some(b',' | b'[') if is_quote(text.get(end + 1)) => return end + 1,
            Some(b',' | b'[') if text.get(end + 1) == Some(&b'\\') => return end + 1,
            Some(b',' | b'[') => {}
            _ => return end,
        }
        end += 1;
    }
}

/// The state of a command line.
#[derive(Debug, Default)]
struct Line {
    /// One bit for each of [`FLAGS`] whose command was read.
    flags_of_commands: u64,
    /// One bit for each of [`FLAGS`] whose command was read, and its subcommand if it has one.
    active_flags: u64,
    /// The number of words without an option since the last flag became active.
    word_count: usize,
    /// The value that the last word announced, if any.
    expected: Option<Expected>,
}

/// An argument that may be secret.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// The value of the option or environment variable whose name has this range.
    ForName(usize, usize),
    /// A password in this form, of one of [`FLAGS`].
    ForFlag(Form),
}

struct LineReader<'t, F> {
    text: &'t str,
    line: Line,
    report: F,
}

impl<'t, F: FnMut(Option<&'t str>, usize, usize)> LineReader<'t, F> {
    /// Reads one word and returns where the next may begin.
    fn read_word(&mut self, start: usize, end: usize) -> usize {
        let bytes = self.text.as_bytes();
        if matches!(&bytes[start..end], b"|" | b";" | b"&&" | b"||") {
            self.line = Line::default();
            return end;
        }
        if let Some(expected) = self.line.expected.take() {
            // If the quote closes a string that contains the option, no value follows.
            let is_closing_quote = matches!(bytes[start], b'"' | b'\'')
                && run_end(&bytes[..end], start + 1, |byte| b"}]),".contains(&byte)) == end;
            let (from, to) = value_range(bytes, start);
            if !is_closing_quote && from < to && bytes[from] != b'-' {
                self.report_value(expected, (from, to));
                return to;
            }
        }
        let (start, word_end) = without_marks(bytes, start, end);
        let word = &bytes[start..word_end];
        let ends_clause = bytes[word_end..end]
            .iter()
            .any(|byte| b".;:)".contains(byte));
        if word.first() == Some(&b'-') {
            let is_flag = self.read_flag(start, word_end);
            let name_start = start + run_end(word, 0, |byte| byte == b'-');
            let is_name =
                word_end - name_start >= 2 && ByteClass::KEY.has_all(&bytes[name_start..word_end]);
            let is_long =
                name_start - start == 2 || name_start - start == 1 && word_end - name_start >= 4;
            if !is_flag && is_name && is_long && !ends_clause {
                self.line.expected = Some(Expected::ForName(name_start, word_end));
            }
        } else {
            self.read_positional(start, word_end);
        }
        if end > word_end && matches!(bytes[end - 1], b';' | b'|') {
            self.line = Line::default();
        }
        end
    }

    /// Reads an option, and returns whether it is one of the active flags.
    fn read_flag(&mut self, start: usize, word_end: usize) -> bool {
        let bytes = self.text.as_bytes();
        let word = &bytes[start..word_end];
        let flags = flags_in(self.line.active_flags);
        let options = |(_, flag): (_, &'static Flag)| flag.options.iter().map(move |it| (it, flag));
        for (option, flag) in flags.flat_map(options) {
            let expected = Expected::ForFlag(flag.form);
            let option = option.as_bytes();
            let is_short = option.len() == 2;
            if word == option {
                if is_short && matches!(bytes.get(word_end), Some(b'"' | b'\'')) {
                    self.report_value(expected, value_range(bytes, word_end));
                } else if flag.form != Form::Attached {
                    self.line.expected = Some(expected);
                }
                return true;
            }
            // `--user=ada:x`, `-su ada:x`
            if flag.form == Form::AfterMark(b':')
                && let Some(value_start) = value_start_in_word(word, option)
            {
                if value_start < word.len() {
                    self.report_value(expected, value_range(bytes, start + value_start));
                } else {
                    self.line.expected = Some(expected);
                }
                return true;
            }
            if is_short && word.starts_with(option) && flag.form != Form::Separate {
                self.report_value(expected, value_range(bytes, start + 2));
                return true;
            }
        }
        false
    }

    /// Reads a word that is not an option: a command, a subcommand or an argument.
    fn read_positional(&mut self, start: usize, word_end: usize) {
        let bytes = self.text.as_bytes();
        let word = &bytes[start..word_end];
        let mut sets_variables = false;
        let flags = flags_in(self.line.active_flags);
        for (_, flag) in flags.filter(|(_, flag)| flag.options.is_empty()) {
            match flag.form {
                Form::Word(words_before) if words_before == self.line.word_count => {
                    let from = start - usize::from(bytes[..start].ends_with(b"["));
                    let expected = Expected::ForFlag(Form::Separate);
                    self.report_value(expected, value_range(bytes, from));
                }
                Form::Oracle => {
                    if let Some((from, to)) = urls::oracle(bytes, start) {
                        (self.report)(None, from, to);
                    }
                }
                Form::Setting => sets_variables = true,
                _ => {}
            }
        }
        let is_name = word.len() > 3 && ByteClass::KEY.has_all(word);
        let line = &mut self.line;
        if sets_variables && is_name && line.word_count == 0 {
            line.expected = Some(Expected::ForName(start, word_end));
        }
        line.word_count += 1;
        // A path, a quote or an escape may precede the name.
        let name_at = start + ByteClass::KEY.run_start(word, word.len(), 32);
        let name_start = after_escape(bytes, name_at).min(word_end);
        let name = &bytes[name_start..word_end];
        for (index, flag) in FLAGS.iter().enumerate() {
            let mut commands = flag.commands.iter();
            if commands.any(|command| command.as_bytes() == name) {
                line.flags_of_commands |= 1 << index;
                if flag.subcommand.is_empty() {
                    line.active_flags |= 1 << index;
                    line.word_count = 0;
                }
            }
        }
        for (index, flag) in flags_in(line.flags_of_commands) {
            if !flag.subcommand.is_empty() && flag.subcommand.as_bytes() == word {
                line.active_flags |= 1 << index;
                line.word_count = 0;
            }
        }
    }

    /// Reports an argument, unless it is prose or a placeholder.
    fn report_value(&mut self, expected: Expected, (mut start, end): (usize, usize)) {
        let bytes = self.text.as_bytes();
        let content = &bytes[start..end];
        match expected {
            Expected::ForName(from, to) => {
                if !is_prose(content, &bytes[from..to]) {
                    (self.report)(Some(&self.text[from..to]), start, end);
                }
                return;
            }
            Expected::ForFlag(Form::AfterMark(mark)) => match find(content, mark, 0) {
                Some(at) => start += at + 1,
                None => return,
            },
            Expected::ForFlag(Form::AfterPass) => {
                if !matches_at(bytes, start, b"pass:") {
                    return;
                }
                start += b"pass:".len();
            }
            Expected::ForFlag(_) => {}
        }
        if start < end && !credential::is_placeholder(&bytes[start..end]) {
            (self.report)(None, start, end);
        }
    }
}

/// Returns where the value of `option` begins in `word`: `--user=ada:x`. Returns the end of the
/// word if the value is the next word, and `None` if the word is not the option.
fn value_start_in_word(word: &[u8], option: &[u8]) -> Option<usize> {
    if option.len() > 2 {
        let is_match = word.starts_with(option) && word.get(option.len()) == Some(&b'=');
        return is_match.then_some(option.len() + 1);
    }
    // In `-su`, the last of several one-letter options has the value.
    let has_several_options = word.len() <= 5
        && word.get(1).is_some_and(|byte| *byte != b'-')
        && word[1..].iter().all(u8::is_ascii_alphabetic);
    (has_several_options && word.last() == option.last()).then_some(word.len())
}

fn flags_in(bits: u64) -> impl Iterator<Item = (usize, &'static Flag)> {
    let flags = FLAGS.iter().enumerate();
    flags.filter(move |(index, _)| bits >> index & 1 != 0)
}

/// Returns the start and the end of the value at `start`. If the value is quoted, they exclude its
/// quotes.
fn value_range(text: &[u8], start: usize) -> (usize, usize) {
    match quote_at(text, start) {
        Some(((mark, slashes), start)) => value_end::quoted(text, start, mark, slashes, None),
        None => (start, urls::end_of_run(text, start)),
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
        || content.len() <= 64 && is_upper && name_ends_with(name, plain)
}

/// Returns whether a name ends with `ending`, ignoring case and punctuation.
fn name_ends_with(name: &[u8], ending: &[u8]) -> bool {
    let is_alphanumeric = |byte: &&u8| byte.is_ascii_alphanumeric();
    let mut name = name.iter().rev().filter(is_alphanumeric);
    let mut ending = ending.iter().rev().filter(is_alphanumeric);
    ending.all(|wanted| {
        name.next()
            .is_some_and(|byte| byte.eq_ignore_ascii_case(wanted))
    })
}

/// Returns the start and the end of a word without the quotes, brackets and commas around it.
fn without_marks(text: &[u8], start: usize, end: usize) -> (usize, usize) {
    let from = run_end(&text[..end], start, |byte| b"\"'`([{$,\\".contains(&byte));
    let is_closing_mark = |byte| b"\"'`)]},.;:\\".contains(&byte);
    (from, run_start(text, end, end - from, is_closing_mark))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{matches::Matches, scan};

    /// Commands are only read in texts that contain one of the literals of the token table. Each
    /// command needs such a literal.
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
                let words = [command, flag.subcommand, option].join(" ");
                let line = format!("{}{gap}{secret}", words.trim_end().replace("  ", " "));
                let text = line.as_bytes();
                let survey = scan::Survey::new(text);
                let stats = scan::detect(text, survey, u32::MAX, &mut Matches::new());
                assert!(stats.command_line, "`{line}` is not read");
            }
        }
    }
}
