//! Secrets of every kind. Each is unique, so that a leaked one identifies the place where it was
//! planted.

/// The policy that hides a secret: any policy for secrets, or only a policy that also hides PII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    Secret,
    Pii,
}

/// A secret, with the text by which it is recognized.
#[derive(Debug, Clone)]
pub struct Secret {
    pub text: String,
    /// The part of the secret that must be hidden.
    pub core: String,
}

/// A kind of secret: the name of its pattern, and the template for its texts.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub pattern: &'static str,
    pub tier: Tier,
    pub form: Form,
    /// The kind differs from another kind of its pattern only by the prefix, so it need not be
    /// planted everywhere.
    pub is_alike: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// `«…»` must be hidden. `<x40>` is forty characters of a class, see [`Dice::class`].
    Template(&'static str),
    Made(fn(&mut Dice) -> String),
}

impl Kind {
    pub fn name(&self) -> String {
        match self.form {
            Form::Template(template) => format!("{}, {template:?}", self.pattern),
            Form::Made(_) => self.pattern.to_owned(),
        }
    }

    pub fn grow(&self, dice: &mut Dice) -> Secret {
        let marked = match self.form {
            Form::Template(template) => dice.fill(template),
            Form::Made(make) => make(dice),
        };
        let (before, rest) = marked.split_once('«').expect("a secret is marked");
        let (core, after) = rest.split_once('»').expect("the mark is closed");
        Secret {
            text: format!("{before}{core}{after}"),
            core: core.to_owned(),
        }
    }
}

const fn secret(pattern: &'static str, template: &'static str) -> Kind {
    Kind {
        pattern,
        tier: Tier::Secret,
        form: Form::Template(template),
        is_alike: false,
    }
}

/// Creates a kind that differs only by its prefix.
const fn alike(pattern: &'static str, template: &'static str) -> Kind {
    Kind {
        is_alike: true,
        ..secret(pattern, template)
    }
}

const fn made(pattern: &'static str, tier: Tier, make: fn(&mut Dice) -> String) -> Kind {
    Kind {
        pattern,
        tier,
        form: Form::Made(make),
        is_alike: false,
    }
}

/// Each pattern of `patterns.json`, and each alternative in it.
pub const KINDS: &[Kind] = &[
    secret(
        "pem",
        "-----BEGIN RSA PRIVATE KEY-----\n«<B64>\n<B64>\n<B40>==»\n-----END RSA PRIVATE KEY-----\n",
    ),
    secret(
        "pem",
        "-----BEGIN PRIVATE KEY-----\n«<B64>\n<B44>»\n-----END PRIVATE KEY-----",
    ),
    secret(
        "pem",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n«<B70>\n<B70>»\n-----END OPENSSH PRIVATE KEY-----\n",
    ),
    secret(
        "pem",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n«<B64>\n=<B4>»\n-----END PGP PRIVATE KEY BLOCK-----",
    ),
    secret("jwt", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIi«<W40>.<W43>»"),
    secret(
        "jwt",
        "eyJhbGciOiJkaXIi«<W30>..<W16>.<W60>.<W22>»", // encrypted, without a key of its own
    ),
    secret("github", "ghp_«<A36>»"),
    alike("github", "gho_«<A36>»"),
    alike("github", "ghu_«<A36>»"),
    alike("github", "ghr_«<A36>»"),
    alike("github", "ghs_«<A36>»"),
    alike("github", "github_pat_«<A22>_<A59>»"),
    secret("gitlab", "glpat-«<W20>»"),
    alike("gitlab", "gldt-«<W20>»"),
    alike("gitlab", "glrt-«<W20>»"),
    alike("gitlab", "glcbt-«<W24>»"),
    alike("gitlab", "glptt-«<W40>»"),
    alike("gitlab", "glft-«<W20>»"),
    alike("gitlab", "glimt-«<W25>»"),
    alike("gitlab", "glagent-«<W50>»"),
    alike("gitlab", "glsoat-«<W20>»"),
    alike("gitlab", "glffct-«<W20>»"),
    alike("gitlab", "gloas-«<W64>»"),
    alike("gitlab", "GR1348941«<W20>»"),
    secret("aws_key_id", "«AKIA<216>»"),
    alike("aws_key_id", "«ASIA<216>»"),
    alike("aws_key_id", "«ABIA<216>»"),
    alike("aws_key_id", "«ACCA<216>»"),
    alike("aws_key_id", "«A3TX<216>»"),
    secret("aws_secret", "aws_secret_access_key = «<B40>»"),
    secret("aws_secret", "AWS_SECRET_ACCESS_KEY=«<B40>»"),
    secret("aws_secret", "secret_key: \"«<B40>»\""),
    secret("aws_secret", "\"SecretAccessKey\" : \"«<B40>»\""),
    secret("stripe", "sk_live_«<A24>»"),
    alike("stripe", "sk_test_«<A24>»"),
    alike("stripe", "rk_live_«<A99>»"),
    alike("stripe", "rk_prod_«<A24>»"),
    alike("stripe", "whsec_«<B32>»"),
    secret("slack", "xoxb-«<d12>-<d12>-<A24>»"),
    secret("slack", "xoxp-«<d12>-<d12>-<x32>»"),
    secret("slack", "xoxe.xoxp-«1-<A140>»"),
    secret("slack", "xapp-1-«A<U10>-<d13>-<x64>»"),
    secret(
        "slack_webhook",
        "https://hooks.slack.com/services/«T<U10>/B<U10>/<A24>»",
    ),
    secret(
        "slack_webhook",
        "https://hooks.slack.com/triggers/«T<U10>/<d13>/<x32>»",
    ),
    secret("google", "AIza«<W35>»"),
    alike("google", "ya29.«<W60>»"),
    alike("google", "GOCSPX-«<W28>»"),
    secret("llm_keys", "sk-ant-api03-«<W93>AA»"),
    alike("llm_keys", "sk-proj-«<W74>T3BlbkFJ<W74>»"),
    alike("llm_keys", "sk-svcacct-«<W60>»"),
    alike("llm_keys", "sk-admin-«<W60>»"),
    alike("llm_keys", "sk-«<A20>T3BlbkFJ<A20>»"),
    secret("misc_prefixed", "npm_«<A36>»"),
    alike("misc_prefixed", "pypi-AgEIcHlwaS5vcmc«<W90>»"),
    alike("misc_prefixed", "hf_«<L34>»"),
    alike("misc_prefixed", "dop_v1_«<x64>»"),
    alike("misc_prefixed", "SG.«<W22>.<W43>»"),
    alike("misc_prefixed", "shpat_«<x32>»"),
    alike("misc_prefixed", "shpca_«<x32>»"),
    alike("misc_prefixed", "shppa_«<x32>»"),
    alike("misc_prefixed", "shpss_«<x32>»"),
    alike("misc_prefixed", "dapi«<x32>»"),
    alike("misc_prefixed", "hvs.«<W95>»"),
    alike("misc_prefixed", "hvb.«<W120>»"),
    alike("misc_prefixed", "glsa_«<A32>_<x8>»"),
    alike("misc_prefixed", "glc_«<B60>»"),
    alike("misc_prefixed", "sntrys_«<B60>_<B43>»"),
    alike("misc_prefixed", "sntryu_«<x64>»"),
    alike("misc_prefixed", "AGE-SECRET-KEY-1«<U58>»"),
    alike("misc_prefixed", "ops_eyJ«<B260>»"),
    alike("misc_prefixed", "lin_api_«<A40>»"),
    alike("misc_prefixed", "pul-«<x40>»"),
    alike("misc_prefixed", "rubygems_«<x48>»"),
    alike("misc_prefixed", "sq0atp-«<W22>»"),
    alike("misc_prefixed", "sq0csp-«<W43>»"),
    alike("misc_prefixed", "dckr_pat_«<W27>»"),
    alike("misc_prefixed", "tskey-auth-«<A16>-<A32>»"),
    secret("bearer", "Bearer «<A24>.<A8>-<A8>»"),
    secret("bearer", "bearer «<A30>==»"),
    secret("bearer", "token «<x40>»"),
    made("basic", Tier::Secret, |dice| {
        let credential = base64(dice.fill("<l6>:<A20>").as_bytes());
        format!("Basic «{credential}»")
    }),
    secret(
        "url_userinfo",
        "postgres://app:«<A20>»@db.internal:5432/shop",
    ),
    secret("url_userinfo", "redis://:«<A20>»@cache:6379/0"),
    secret(
        "url_userinfo",
        // The separators in the password should have been encoded.
        "amqps://app:«<A6>@<A6>:<A6>»@mq.internal/vhost",
    ),
    secret("url_token_user", "https://«<x32>»@o1.ingest.sentry.io/2"),
    secret(
        "url_query",
        "https://api.example.org/v1/a?page=2&access_token=«<A40>»&sort=name",
    ),
    secret("url_query", "https://api.example.org/v1/a?sig=«<A30>%3D»"),
    secret(
        "url_query",
        "https://api.example.org/cb?code=«<W30>»&state=1",
    ),
    secret("url_query", "https://api.example.org/a?key=«<A32>»#top"),
    secret(
        "url_query",
        "https://b.s3.example.org/k?X-Amz-Signature=«<x64>»&X-Amz-Date=20261120T084612Z",
    ),
    secret(
        "url_query",
        "https://b.s3.example.org/k?x-amz-security-token=«<A80>»",
    ),
    secret("url_query", "/relative?pwd=«<A12>»&n=1"),
    secret("kv", "password=«<A16>»"),
    secret("kv", "password: \"«<A9> <A9>»\""),
    secret("kv", "db_passwd='«<A9>, <A9>»'"),
    secret("kv", "my.api-key = «<A16>»"),
    secret("kv", "PRIVATE_KEY=«<A16>»"),
    secret("kv", "{\"credential\": \"«<A9>;<A9>»\"}"),
    secret("kv", "x-session-id: «<A16>»"),
    made("card", Tier::Secret, |dice| {
        format!("«{}»", dice.card("4", 16, &[16]))
    }),
    made("card", Tier::Secret, |dice| {
        format!("«{}»", dice.card("4", 16, &[4, 4, 4, 4]))
    }),
    made("card", Tier::Secret, |dice| {
        format!("«{}»", dice.card("55", 16, &[4, 4, 4, 4])).replace(' ', "-")
    }),
    made("card", Tier::Secret, |dice| {
        format!("«{}»", dice.card("37", 15, &[4, 6, 5]))
    }),
    made("card", Tier::Secret, |dice| {
        format!("«{}»", dice.card("6011", 16, &[16]))
    }),
    secret("ssn", "«2<d2>-4<d1>-3<d3>»"),
    made("email", Tier::Pii, |dice| {
        dice.fill("«<l8>.<l6>+<l3>@mail.<l8>.co.uk»")
    }),
    made("email", Tier::Pii, |dice| dice.fill("«<l9>@<l8>.org»")),
    made("ipv4", Tier::Pii, |dice| {
        let [a, b, c] = [(); 3].map(|()| 100 + dice.below(156));
        format!("«203.{a}.{b}.{c}»")
    }),
    made("ipv6", Tier::Pii, |dice| {
        dice.fill("2001:db8:«7<x3>:7<x3>::7<x3>»")
    }),
    made("ipv6", Tier::Pii, |dice| {
        dice.fill("«2a00:7<x3>:7<x3>:7<x3>:7<x3>:7<x3>:7<x3>:7<x3>»")
    }),
    made("iban", Tier::Pii, |dice| format!("«{}»", dice.iban())),
    made("iban", Tier::Pii, |dice| {
        let grouped: Vec<String> = dice
            .iban()
            .as_bytes()
            .chunks(4)
            .map(|group| String::from_utf8_lossy(group).into_owned())
            .collect();
        format!("«{}»", grouped.join(" "))
    }),
];

/// Random characters, which are the same in each run and in each process.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// `SplitMix64`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub fn fill(&mut self, template: &str) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('<') {
            let (class, after) = after.split_once('>').expect("the class is closed");
            let (class, count) = class.split_at(1);
            out += before;
            for _ in 0..count.parse::<usize>().expect("a count") {
                let class = Self::class(class);
                out.push(char::from(class[self.below(class.len() as u64) as usize]));
            }
            rest = after;
        }
        out + rest
    }

    fn class(name: &str) -> &'static [u8] {
        match name {
            "A" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            "B" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
            "W" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
            "L" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            "U" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
            "2" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
            "l" => b"abcdefghijklmnopqrstuvwxyz",
            "x" => b"0123456789abcdef",
            "d" => b"0123456789",
            other => panic!("no class {other}"),
        }
    }

    /// Returns a number with Luhn's check digit, in groups.
    fn card(&mut self, prefix: &str, length: usize, groups: &[usize]) -> String {
        let digits = self.fill(&format!("{prefix}<d{}>", length - 1 - prefix.len()));
        let sum: u32 = digits
            .bytes()
            .rev()
            .enumerate()
            .map(
                |(index, digit)| match (index % 2, u32::from(digit - b'0')) {
                    (0, digit) => digit * 2 / 10 + digit * 2 % 10,
                    (_, digit) => digit,
                },
            )
            .sum();
        let mut rest = format!("{digits}{}", (10 - sum % 10) % 10);
        let mut printed = Vec::new();
        for group in groups {
            let after = rest.split_off(*group);
            printed.push(std::mem::replace(&mut rest, after));
        }
        printed.join(" ")
    }

    /// Returns a German IBAN with its check digits.
    fn iban(&mut self) -> String {
        let account = self.fill("<d18>");
        // `DE00` behind the account, D being 13 and E 14.
        let remainder = format!("{account}131400")
            .bytes()
            .fold(0_u32, |so_far, digit| {
                (so_far * 10 + u32::from(digit - b'0')) % 97
            });
        format!("DE{:02}{account}", 98 - remainder)
    }
}

fn base64(bytes: &[u8]) -> String {
    let class = Dice::class("B");
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| {
            bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0))
        });
        for at in 0..4 {
            if at <= chunk.len() {
                out.push(char::from(class[(bits >> (18 - 6 * at) & 63) as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}
