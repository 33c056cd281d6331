//! Texts with a secret: prefixes, pairs, keys in every spelling, values and their quotes and
//! brackets.

use super::{Line, Random, json_escaped};

mod checked;
mod forms;

use forms::{
    Carries::{AllBut, Made, Only},
    FORMS, Form,
    Writing::{AsIs, Doubled, Json, Percent, Quoted},
};

const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &str = "0123456789abcdef";

/// Words that end the name of a secret.
const WORDS: &[&[&str]] = &[
    &["password"],
    &["passwd"],
    &["pass"],
    &["pwd"],
    &["pw"],
    &["passcode"],
    &["passphrase"],
    &["secret"],
    &["credential"],
    &["credentials"],
    &["authorization"],
    &["mnemonic"],
    &["session"],
    &["cookie"],
    &["token"],
    &["dsn"],
    &["jwt"],
    &["csrf"],
    &["salt"],
    &["auth"],
    &["sid"],
    &["sessid"],
    &["otp"],
    &["totp"],
    &["pin"],
    &["cvv"],
    &["ssn"],
    &["api", "key"],
    &["private", "key"],
    &["access", "key"],
    &["signing", "key"],
    &["encryption", "key"],
    &["session", "key"],
    &["master", "key"],
    &["hmac", "key"],
    &["subscription", "key"],
    &["account", "key"],
    &["secret", "key"],
    &["access", "token"],
    &["refresh", "token"],
    &["id", "token"],
    &["bearer", "token"],
    &["auth", "token"],
    &["csrf", "token"],
    &["pin", "code"],
    &["otp", "code"],
    &["mfa", "code"],
    &["cvv", "code"],
    &["recovery", "codes"],
    &["session", "id"],
    &["credit", "card"],
    &["card", "number"],
    &["card", "no"],
    &["social", "security"],
    &["client", "secret"],
    &["client", "assertion"],
    &["connection", "string"],
    &["seed", "phrase"],
    &["auth", "header"],
    &["proxy", "auth"],
];

/// Words that may precede them.
const OWNERS: &[&str] = &[
    "db", "smtp", "user", "admin", "redis", "app", "my", "new", "old", "x", "stripe", "http",
    "client", "server", "backup", "legacy",
];

/// Texts before a pair.
const PREFIXES: &[&str] = &[
    "",
    "login failed: ",
    "could not connect to the store: ",
    "2026-11-18T13:49:20Z INFO shop: ",
    "[debug] ",
    "caused by: ",
    "(",
    "GET /orders 200 12ms ",
    "user=ada ",
    "a=1, b=[2, 3], ",
    "it's late, ",
    "say \"hi\" and ",
    "an odd \" quote, ",
    "shop::auth::login: ",
    "Config { n: 1 } ",
    "line one\n",
    "\t",
    "größer → ",
    "日本 ",
    "see https://h.example:8443/a@b then ",
    "at 0.4221165755827173 s: ",
    "retry 3 of 5; ",
    "token expired, ",
    "the password of ada is wrong: ",
];

/// Texts after a pair.
const SUFFIXES: &[&str] = &[
    "",
    " (attempt 3 of 5)",
    " user=ada",
    "\nnext line",
    " ok",
    "\r\n\r\n",
    " host=db-1.internal port=5432",
    " -> \"done\"",
    "\tcode=7",
];

pub(super) fn line(random: &mut Random) -> Line {
    let index = random.within(0..FORMS.len() as u64);
    let form = &FORMS[usize::try_from(index).unwrap()];
    let mut prefix = random.pick(PREFIXES);
    if form.before.starts_with("{k}") && random.is_one_of(16) {
        prefix = "C:\\app\\";
    }
    let mut key = key(random);
    if form.name == "k: v" && random.is_one_of(8) {
        key = random.pick(WORDS).join(" ");
    }
    let before = form.before.replace("{k}", &key);
    let mut start = format!("{prefix}{before}");
    let mut end = format!("{}{}", form.after, random.pick(SUFFIXES));
    let mut secret: Vec<String> = written(form, &value(random, form, prefix));
    let around = random.within(0..8);
    for _ in 0..[0, 0, 0, 0, 1, 1, 1, 2][usize::try_from(around).unwrap()] {
        secret.iter_mut().for_each(|c| *c = json_escaped(c));
        let open = random.pick(&["{\"note\":\"", "Note { text: \"", "[\"", "note=\""]);
        let close = match open {
            "{\"note\":\"" => "\",\"n\":1}",
            "Note { text: \"" => "\", n: 1 }",
            "[\"" => "\"]",
            _ => "\"",
        };
        start = format!("{open}{}", json_escaped(&start));
        end = format!("{}{close}", json_escaped(&end));
    }
    Line {
        form: form.name,
        text: format!("{start}{}{end}", secret.concat()),
        is_pii: form.name.starts_with("pii"),
        secret,
        surroundings: format!("{start}\0{end}"),
    }
}

/// Returns a secret key in one of its spellings.
fn key(random: &mut Random) -> String {
    let mut words: Vec<&str> = random.pick(WORDS).to_vec();
    if !random.is_one_of(3) {
        words.insert(0, random.pick(OWNERS));
    }
    let upper = |word: &str| word.to_uppercase();
    let title = |word: &str| word[..1].to_uppercase() + &word[1..];
    let mut key = match random.within(0..8) {
        0 => words.join("-"),
        1 => words.iter().map(|word| title(word)).collect(),
        2 => {
            let rest = words[1..].iter().map(|word| title(word));
            words[0].to_owned() + &rest.collect::<String>()
        }
        3 => upper(&words.join("_")),
        4 => words.join("."),
        5 => {
            let words: Vec<String> = words.iter().map(|word| title(word)).collect();
            words.join("-")
        }
        _ => words.join("_"),
    };
    if random.is_one_of(24) {
        key += random.pick(&["2", "_1"]);
    }
    key
}

/// Returns a secret that the form can carry.
fn value(random: &mut Random, form: &Form, prefix: &str) -> String {
    match form.carries {
        Made(make) => make(random),
        Only(alphabet, min, max) => {
            let length = random.within(min..max);
            random.text(alphabet, length)
        }
        AllBut(none) => loop {
            // A few values are longer than the look-ahead of the scanner.
            let length = match random.within(0..32) {
                0 => random.within(60..140),
                _ => random.within(6..24),
            };
            // Between quotes a word is a secret too.
            let alphabet: &[u8] = match form.writing {
                AsIs | Percent => &PRINTABLE,
                _ if random.is_one_of(6) => &ALNUM.as_bytes()[26..52],
                _ => &PRINTABLE,
            };
            let printable = (0..length).map(|_| char::from(random.pick(alphabet)));
            let value: String = printable.filter(|c| !none.contains(*c)).collect();
            if is_fit(form, prefix, &value) {
                return value;
            }
        },
    }
}

/// All printable ASCII characters.
const PRINTABLE: [u8; 95] = {
    let mut all = [b' '; 95];
    let mut index = 0;
    while index < 95 {
        all[index] += index as u8;
        index += 1;
    }
    all
};

/// Returns whether the secret is the only reading of a text in this form.
fn is_fit(form: &Form, prefix: &str, value: &str) -> bool {
    let has = |is: fn(char) -> bool| value.chars().any(is);
    let is_random = has(|c| c.is_ascii_alphabetic())
        && (has(|c| c.is_ascii_digit()) || !matches!(form.writing, AsIs | Percent));
    let starts = value
        .chars()
        .next()
        .is_some_and(|first| match form.writing {
            // Without quotes, these characters start another form: a list, an operator, a path or a
            // reference.
            AsIs => !"([{<=:~>/|$*#".contains(first),
            // Three quotes in a row open another kind of string.
            Doubled => first != '\'',
            _ => true,
        });
    // After an odd quote, the quote before the value may close a string.
    let is_open = prefix.matches('"').count().is_multiple_of(2)
        || value.starts_with(|first: char| first.is_ascii_alphanumeric());
    let is_url = form.name.starts_with("url");
    let is_web = form.before.contains("https://");
    let is_clear = is_open && !(is_url && is_other_url(value)) && !(is_web && has_host(value));
    let is_placeholder = !matches!(form.writing, AsIs) && is_placeholder(value);
    // A password with a space must end nearby.
    let is_near = form.name != "url, space" || value.len() < 40;
    let is_one = is_random && starts && is_clear && !is_placeholder && is_near;
    value.len() >= 6 && value.trim() == value && is_one
}

/// Returns whether the value looks like a placeholder: `<token>`, `$TOKEN`, `%TOKEN%`, `xxxxxx`.
fn is_placeholder(value: &str) -> bool {
    let is_name = |name: &str, is: fn(char) -> bool| !name.is_empty() && name.chars().all(is);
    let between = |open: char, close: char| {
        let name = value.strip_prefix(open)?;
        name.strip_suffix(close)
    };
    let in_angles = between('<', '>').is_some_and(|name| {
        is_name(name, |c| c.is_ascii_lowercase()) || is_name(name, |c| c.is_ascii_uppercase())
    });
    in_angles
        || between('%', '%')
            .is_some_and(|name| is_name(name, |c| c.is_ascii_uppercase() || c == '_'))
        || value
            .strip_prefix('$')
            .is_some_and(|name| is_name(name, |c| c.is_ascii_uppercase() || c == '_'))
        || is_name(value, |c| c == 'x' || c == 'X')
}

/// Returns whether a URL could end inside this password. This is possible if it begins like a port
/// or a string, if the text after a quote may follow a string, or if an `@` precedes a quote.
fn is_other_url(value: &str) -> bool {
    let host = value.split_once('@').map_or("", |(_, host)| host);
    let closes = |pair: &[u8]| b"\"'".contains(&pair[0]) && b",;:)]}>".contains(&pair[1]);
    value.starts_with(|c: char| c.is_ascii_digit() || "\"'".contains(c))
        || value.ends_with(['"', '\''])
        || host.contains(['"', '\'', '`'])
        || value.as_bytes().windows(2).any(closes)
}

/// Returns whether the host of a web URL could end inside this password. By the specification, a
/// host ends at the first slash.
fn has_host(value: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    value.split('@').skip(1).any(|host| {
        let name = host.split(|c| !is_part(c)).next().unwrap_or_default();
        name.len() > 1 && host[name.len()..].starts_with('/')
    })
}

/// Returns the characters of the secret as the form writes them.
fn written(form: &Form, value: &str) -> Vec<String> {
    let write = |c: char| match form.writing {
        AsIs => c.to_string(),
        Json(times) => (0..times).fold(c.to_string(), |text, _| json_escaped(&text)),
        Quoted if c == '\'' || c == '\\' => format!("\\{c}"),
        Doubled if c == '\'' => "''".to_owned(),
        Quoted | Doubled => c.to_string(),
        Percent if c.is_ascii_alphanumeric() || "-._~".contains(c) => c.to_string(),
        Percent => format!("%{:02X}", u32::from(c)),
    };
    value.chars().map(write).collect()
}
