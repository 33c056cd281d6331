//! Secrets, and the texts around them.

use super::input::{ALNUM, ALPHA, BASE64URL, DIGITS, HEX, Input, Letters, UPPER};

/// A text that contains a secret.
#[derive(Debug)]
pub struct Plant {
    pub text: String,
    /// None of these may be shown.
    pub secrets: Vec<String>,
    /// Whether only a policy that hides PII hides the secret.
    pub pii: bool,
}

impl Plant {
    pub fn new(input: &mut Input<'_>) -> Self {
        let form = input.byte();
        let (kind, around) = (input.byte(), input.byte());
        let specials = input.bytes(3).to_vec();
        let mut letters = Letters::new(input.number());
        match form % 3 {
            0 => Self::by_form(kind, around, &mut letters),
            _ => Self::by_key(form / 3, kind, around, &specials, &mut letters),
        }
    }

    /// Returns a secret with a recognizable format, and text around the secret.
    fn by_form(kind: u8, around: u8, letters: &mut Letters) -> Self {
        let (mut text, mut pii) = (String::new(), false);
        let secret = match usize::from(kind) % (TOKENS.len() + CHECKED) {
            0 => digits_of_card(letters),
            1 => {
                let card = digits_of_card(letters);
                let gap = [" ", "-"][letters.below(2)];
                [&card[..4], &card[4..8], &card[8..12], &card[12..]].join(gap)
            }
            2 => format!(
                "{}-{}-{}",
                1 + letters.below(8),
                11,
                2222 + letters.below(7000)
            )
            .replacen('-', "23-", 1),
            3 => {
                pii = true;
                format!(
                    "{}@{}.example.org",
                    letters.take(ALNUM, 8),
                    letters.take(HEX, 4)
                )
            }
            4 => {
                pii = true;
                format!(
                    "203.{}.113.{}",
                    letters.below(256),
                    100 + letters.below(156)
                )
            }
            5 => {
                pii = true;
                format!(
                    "2001:db8:{}::7{}",
                    letters.take("123456789abcdef", 4),
                    letters.take(HEX, 3)
                )
            }
            6 => {
                pii = true;
                let account = letters.take(DIGITS, 18);
                let remainder = format!("{account}131400")
                    .bytes()
                    .fold(0, |rest, byte| (rest * 10 + u32::from(byte - b'0')) % 97);
                format!("DE{:02}{account}", 98 - remainder)
            }
            7 => {
                let part = |letters: &mut Letters| letters.take(BASE64URL, 20);
                format!("eyJ{}.{}.{}", part(letters), part(letters), part(letters))
            }
            8 => format!(
                "sk-{}T3BlbkFJ{}",
                letters.take(ALNUM, 20),
                letters.take(ALNUM, 20)
            ),
            9 => format!(
                "sntrys_{}==_{}",
                letters.take(ALNUM, 60),
                letters.take(ALNUM, 43)
            ),
            10 => {
                text =
                    "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----".to_owned();
                letters.take(ALNUM, 64)
            }
            11 => {
                text = ["Bearer {}", "bearer  {}", "token {}"][letters.below(3)].to_owned();
                format!("a1{}", letters.take(BASE64URL, 20))
            }
            12 => {
                text = "Basic {}".to_owned();
                "QWxhZGRpbjpvcGVuIHNlc2FtZQ==".to_owned()
            }
            13 => {
                text = [
                    "postgres://ada:{}@db/x",
                    "https://{}@host/",
                    "redis://:{}@h",
                ][letters.below(3)]
                .to_owned();
                letters.take(ALNUM, 24)
            }
            14 => {
                let name =
                    ["sig", "code", "key", "X-Amz-Signature", "access_token"][letters.below(5)];
                text = format!("https://host/p?a=b&{name}={{}}&c=d");
                letters.take(ALNUM, 24)
            }
            15 => {
                text = "aws_secret_access_key = {}".to_owned();
                letters.take(ALNUM, 40)
            }
            other => {
                let (literal, set, count) = TOKENS[other - CHECKED];
                format!("{literal}{}", letters.take(set, count))
            }
        };
        if text.is_empty() {
            text.push_str("{}");
        }
        let (before, after) = AROUND[usize::from(around) % AROUND.len()];
        let text = format!("{before}{}{after}", text.replace("{}", &secret));
        Self {
            text,
            secrets: vec![secret],
            pii,
        }
    }

    /// Returns a value that is a secret only because of its key. It has two words with other
    /// characters between them.
    fn by_key(form: u8, key: u8, around: u8, specials: &[u8], letters: &mut Letters) -> Self {
        let key = KEYS[usize::from(key) % KEYS.len()];
        let (from, to) = (letters.take(ALNUM, 9), letters.take(ALNUM, 9));
        let value = |forbidden: &str| {
            let specials = specials
                .iter()
                .map(|byte| SPECIALS[usize::from(*byte) % SPECIALS.len()]);
            let between: String = specials
                .filter(|special| !forbidden.contains(*special))
                .collect();
            format!("{from}{between}{to}")
        };
        let json = |value: &str| serde_json::to_string(value).unwrap();
        let bare = || value(" \n\t,;&}\"'\\");
        let quoted = || json(&value(""));
        let debug = || format!("{:?}", value(""));
        let single = |mark| value(mark);
        let text = match form % 23 {
            0 => format!("{key}={}", bare()),
            1 => format!("{key}: {}", bare()),
            2 => format!("{key}:{}", bare()),
            3 => format!("{key} = {}", bare()),
            4 => format!("{key}={}", quoted()),
            5 => format!("{key}: {}", debug()),
            6 => format!("{key}='{}'", single("'\\")),
            7 => format!("{{\"{key}\":{},\"n\":1}}", quoted()),
            8 => format!("{{\"a\":[1,{{\"{key}\" : {}}}],\"n\":1}}", quoted()),
            9 => json(&format!("{{\"{key}\":{},\"n\":1}}", quoted())),
            10 => json(&json(&format!("{{\"{key}\": {}}}", quoted()))),
            11 => format!("{{\"{key}\":[{},{}]}}", json(&from), quoted()),
            12 => format!("{{\"{key}\":{{\"a\":{{\"b\":{}}}}}}}", quoted()),
            13 => format!("Login {{ name: \"ada\", {key}: {}, n: 1 }}", debug()),
            14 => format!("Login {{ {key}: Some({}), n: 1 }}", debug()),
            15 => format!(
                "Login {{\n    {key}: Some(\n        {},\n    ),\n}}",
                debug()
            ),
            16 => format!(
                "Login {{ {key}: Secret {{ a: [{}], b: {:?} }}, n: 1 }}",
                debug(),
                '\''
            ),
            17 => format!("\nAuthorization: Digest {}\nHost: h", value("\n")),
            18 => format!("curl -H 'Cookie: a={}' http://h", value("\n'\"\\")),
            19 => format!("https://h/p?{key}={}&a=b#c", value(" \n\t&#\"'<>;\\")),
            20 => format!("postgres://ada:{}@db/x", value(" \n\t/?#\"'<>\\")),
            21 => format!("headers[\"{key}\"] = {}", quoted()),
            _ => format!("{key} => {}", debug()),
        };
        let (before, after) = AROUND[usize::from(around) % 2];
        Self {
            text: format!("{before}{text}{after}"),
            secrets: vec![from, to],
            pii: false,
        }
    }
}

/// Returns a number that an issuer could have assigned.
fn digits_of_card(letters: &mut Letters) -> String {
    let prefix = ["4", "51", "2221", "6011", "65"][letters.below(5)];
    let number = format!("{prefix}{}", letters.take(DIGITS, 15 - prefix.len()));
    let digits = number.bytes().rev().enumerate();
    let sum: u32 = digits
        .map(|(index, byte)| match (index % 2, u32::from(byte - b'0')) {
            (0, digit) => digit * 2 / 10 + digit * 2 % 10,
            (_, digit) => digit,
        })
        .sum();
    format!("{number}{}", (10 - sum % 10) % 10)
}

/// The number of kinds that have their own generator.
const CHECKED: usize = 16;

/// The beginnings of the other kinds, their characters and their minimum lengths.
const TOKENS: &[(&str, &str, usize)] = &[
    ("ghp_", ALNUM, 36),
    ("ghs_", ALNUM, 36),
    ("github_pat_", ALNUM, 60),
    ("glpat-", BASE64URL, 20),
    ("GR1348941", ALNUM, 20),
    ("AKIA", UPPER, 16),
    ("A3TX", UPPER, 16),
    ("sk_live_", ALNUM, 24),
    ("rk_test_", ALNUM, 24),
    ("whsec_", ALNUM, 32),
    ("xoxb-", DIGITS, 24),
    ("xoxe.xoxp-1-", ALNUM, 40),
    ("xapp-1-", ALNUM, 20),
    ("https://hooks.slack.com/services/", ALNUM, 44),
    ("AIza", BASE64URL, 35),
    ("ya29.", BASE64URL, 40),
    ("GOCSPX-", BASE64URL, 28),
    ("sk-ant-api03-", BASE64URL, 95),
    ("sk-proj-", BASE64URL, 48),
    ("npm_", ALNUM, 36),
    ("pypi-AgEIcHlwaS5vcmc", BASE64URL, 60),
    ("hf_", ALPHA, 34),
    ("dop_v1_", HEX, 64),
    ("SG.", BASE64URL, 66),
    ("shpat_", HEX, 32),
    ("dapi", HEX, 32),
    ("hvs.", BASE64URL, 95),
    ("glsa_", ALNUM, 32),
    ("AGE-SECRET-KEY-1", UPPER, 58),
    ("ops_eyJ", ALNUM, 250),
    ("lin_api_", ALNUM, 40),
    ("pul-", HEX, 40),
    ("rubygems_", HEX, 48),
    ("sq0atp-", BASE64URL, 22),
    ("dckr_pat_", BASE64URL, 27),
    ("tskey-auth-", ALNUM, 24),
];

/// Text that ends a secret. The first two entries are for texts with a separate form.
const AROUND: &[(&str, &str)] = &[
    (" ", " "),
    ("\n", "\n"),
    ("\"", "\""),
    ("'", "'"),
    ("(", ")"),
    ("[", "]"),
    ("<", ">"),
    ("|", "|"),
    (", ", ","),
    ("\\n", "\\n"),
    ("\\\\r\\\\n", "\\\\r\\\\n"),
    ("\\u003c", "\\u003e"),
    (" Bearer ", " "),
    (" bearer\t", "\n"),
    ("id=", ";"),
    ("{\"id\":\"", "\"}"),
    ("\u{e9}", "\u{e9}"),
];

const KEYS: &[&str] = &[
    "password",
    "apiKey",
    "X-Api-Key",
    "db.client_secret",
    "pin",
    "access_token",
    "sid",
    "my-pwd",
    "DB_PASSWORD",
    "session_id",
];

/// Characters that a password may contain.
const SPECIALS: &[char] = &[
    '!',
    '@',
    '#',
    '$',
    '%',
    '^',
    '*',
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    '<',
    '>',
    '/',
    '\\',
    '|',
    '?',
    '.',
    ',',
    ':',
    ';',
    '=',
    '+',
    '-',
    '_',
    '~',
    '`',
    '\'',
    '"',
    '&',
    ' ',
    '\t',
    '\n',
    '\u{e9}',
    '\u{65e5}',
    '\u{1f511}',
];
