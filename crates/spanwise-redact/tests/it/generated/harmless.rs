//! Texts without a secret: numbers, times, ids and sentences with words of secret keys.

use super::{Line, Random};

const HEX: &str = "0123456789abcdef";
const CROCKFORD: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Words of secret keys in sentences.
const THINGS: &[&str] = &[
    "token",
    "password",
    "session",
    "secret",
    "cookie",
    "credential",
    "pin",
    "api key",
    "access token",
    "refresh token",
    "session key",
    "jwt",
    "salt",
    "auth",
    "authorization",
    "otp",
    "id token",
    "csrf token",
    "private key",
    "passcode",
    "client secret",
    "session cookie",
    "dsn",
];

const VERBS: &[&str] = &[
    "check", "verify", "load", "refresh", "decode", "read", "rotate", "renew", "find", "parse",
    "store", "delete", "sign", "decrypt",
];

/// Reasons of several words.
const REASONS: &[&str] = &[
    "connection refused",
    "permission denied",
    "not found",
    "unexpected end of file",
    "no such file or directory",
    "invalid length",
    "the server closed the connection",
    "timed out after 30s",
    "provider answered 503",
    "must have at least 12 characters",
    "value has invalid characters",
    "signature verification failed",
    "denied for role viewer",
    "does not match",
    "too short",
    "wrong audience",
    "not supported by provider",
    "expired 3 days ago",
    "must not be empty",
    "lease expired",
    "unknown variant",
    "invalid base64 at offset 12",
    "broken pipe (os error 32)",
    "unable to get local issuer",
];

/// Names of errors.
const ERRORS: &[&str] = &[
    "InvalidSignature",
    "ExpiredSignature",
    "NotFound",
    "PermissionDenied",
    "TokenExpired",
    "InvalidCredentials",
    "MissingField",
    "UnexpectedEof",
    "BadRequest",
    "InvalidLength",
    "ConnectionRefused",
    "InvalidTokenError",
    "AccessDeniedException",
];

/// States.
const STATES: &[&str] = &[
    "expired",
    "missing",
    "invalid",
    "revoked",
    "required",
    "disabled",
    "rejected",
    "unknown",
    "denied",
    "closed",
    "refreshed",
    "valid",
];

const FIELDS: &[&str] = &[
    "token",
    "password",
    "session",
    "secret",
    "cookie",
    "api_key",
    "pin",
    "refresh_token",
    "auth",
    "credential",
];

pub(super) fn line(random: &mut Random) -> Line {
    let (form, text) = match random.within(0..15) {
        0 => ("float", float(random)),
        1 => ("integer", integer(random)),
        2 => ("time", time(random)),
        3 => ("uuid", uuid(random)),
        4 | 5 => ("id", id(random)),
        6 => ("version", version(random)),
        7 => ("hash", hash(random)),
        8 => ("private address", address(random)),
        9 | 10 => ("field", field(random)),
        _ => ("sentence", sentence(random)),
    };
    let text = match random.within(0..4) {
        0 => format!("{text} ok"),
        1 => format!("shop: {text}"),
        2 if form != "sentence" => format!("value={text}, n=1"),
        _ => text,
    };
    Line {
        form,
        surroundings: text.clone(),
        text,
        secret: Vec::new(),
        is_pii: false,
    }
}

fn float(random: &mut Random) -> String {
    let unit = (random.next() >> 11) as f64 / (1_u64 << 53) as f64;
    match random.within(0..8) {
        0 => format!("{:?}", f64::from_bits(random.next() >> 2)),
        1 => format!("-{unit}"),
        2 => format!("{:.3}", unit * 1000.0),
        3 => format!("{:e}", unit * 1e12),
        4 => format!("{}", unit * 100.0),
        5 => format!("[{unit}, {}]", 1.0 - unit),
        6 => format!("{{\"score\":{unit}}}"),
        _ => format!("ratio {unit}"),
    }
}

/// Returns a number that is not a whole card number.
fn integer(random: &mut Random) -> String {
    loop {
        let number = random.next() >> random.within(0..60);
        let text = match random.within(0..4) {
            0 => format!("-{number}"),
            1 => format!("order {number}"),
            2 => format!("0x{number:x}"),
            _ => number.to_string(),
        };
        let digits: Vec<u64> = number
            .to_string()
            .bytes()
            .map(|b| u64::from(b - b'0'))
            .collect();
        let doubled = |(place, digit): (usize, &u64)| match place % 2 {
            1 if *digit > 4 => digit * 2 - 9,
            1 => digit * 2,
            _ => *digit,
        };
        let sum: u64 = digits.iter().rev().enumerate().map(doubled).sum();
        if !(13..=19).contains(&digits.len()) || !sum.is_multiple_of(10) {
            return text;
        }
    }
}

fn time(random: &mut Random) -> String {
    let (month, day) = (random.within(1..13), random.within(1..29));
    let (hour, minute, second) = (
        random.within(0..24),
        random.within(0..60),
        random.within(0..60),
    );
    let nanos = random.within(0..1_000_000_000);
    let unix = random.within(1_600_000_000..1_799_999_999);
    match random.within(0..7) {
        0 => format!("2026-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z"),
        1 => format!("2026-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}+01:00"),
        2 => format!("{unix}"),
        3 => format!("ts={unix}.{:06}", nanos / 1000),
        4 => format!("at {unix}{:03} ms", nanos / 1_000_000),
        5 => format!("{unix}{nanos:09} ns"),
        _ => format!("took {}.{:03}ms", second, nanos / 1_000_000),
    }
}

fn uuid(random: &mut Random) -> String {
    let version = random.within(1..9);
    let variant = random.text("89ab", 1);
    let mut group = |length| random.text(HEX, length);
    let (a, b, c, d, e) = (group(8), group(4), group(3), group(3), group(12));
    format!("{a}-{b}-{version}{c}-{variant}{d}-{e}")
}

fn id(random: &mut Random) -> String {
    let hex = |random: &mut Random, length| random.text(HEX, length);
    match random.within(0..12) {
        0 => format!("01{}", random.text(CROCKFORD, 24)),
        1 => format!("trace_id={} span_id={}", hex(random, 32), hex(random, 16)),
        2 => format!("00-{}-{}-01", hex(random, 32), hex(random, 16)),
        3 => {
            let prefix = random.pick(&["pi", "cus", "ch", "evt", "in", "sub", "price", "pm"]);
            format!("{prefix}_{}", random.text(ALNUM, 24))
        }
        4 => format!("request_id={}", random.text(ALNUM, 22)),
        5 => format!(
            "pod shop-api-{}-{}",
            hex(random, 9),
            random.text("bcdfghjklmnpqrstvwxz", 5)
        ),
        6 => format!("ObjectId(\"{}\")", hex(random, 24)),
        7 => format!(
            "offset {} of partition {}",
            random.within(0..1 << 40),
            random.within(0..64)
        ),
        8 => format!(
            "cache_key=user:{}:page:{}",
            random.within(0..1 << 20),
            random.within(0..9)
        ),
        9 => format!("key_id=k-{}", hex(random, 8)),
        10 => format!("next_page_token={}", random.text(ALNUM, 12)),
        _ => format!("i-{} in vpc-{}", hex(random, 17), hex(random, 8)),
    }
}

fn version(random: &mut Random) -> String {
    let (major, minor, patch) = (
        random.within(0..40),
        random.within(0..300),
        random.within(0..60),
    );
    match random.within(0..4) {
        0 => format!("v{major}.{minor}.{patch}-rc.1+build.{minor}"),
        1 => format!("shop/{major}.{minor}.{patch} (linux; x86_64)"),
        2 => format!("app_version={major}.{}.{patch}.{}", minor % 256, patch % 9),
        _ => format!("version {major}.{minor}.{patch}"),
    }
}

fn hash(random: &mut Random) -> String {
    let length = random.pick(&[32, 40, 56, 64, 96, 128]);
    let hex = random.text(HEX, length);
    match random.within(0..4) {
        0 => format!("sha256:{hex}"),
        1 => format!("etag: \"{hex}\""),
        2 => format!("commit {hex}"),
        _ => hex,
    }
}

fn address(random: &mut Random) -> String {
    let mut byte = || random.within(0..256);
    let (a, b, c, port) = (byte(), byte(), byte(), 1024 + byte());
    match random.within(0..5) {
        0 => format!("upstream=10.{a}.{b}.{c}:{port}"),
        1 => format!("192.168.{a}.{b}:{port}"),
        2 => format!("172.16.{a}.{b}"),
        3 => format!("[fe80::{a:x}:{b:x}]:{port}"),
        _ => format!("address=127.0.0.{a}:{port}"),
    }
}

/// Returns a key that describes a secret, with a harmless value.
fn field(random: &mut Random) -> String {
    let name = random.pick(FIELDS);
    let number = random.within(0..5000);
    match random.within(0..12) {
        0 => format!("has_{name}=true"),
        1 => format!("{name}_count={number}"),
        // Session ids and secret ids are secrets.
        2 if name != "session" && name != "secret" => format!("{name}_id={number}"),
        2 => format!("{name}_version={number}"),
        3 => format!("{name}_len={number}"),
        4 => format!("{name}_expires_at=2026-11-18T13:49:20Z"),
        5 => format!("{name}_ttl={number}"),
        6 => format!("{name}_enabled=false"),
        7 => format!("{{\"has_{name}\":true,\"{name}_count\":{number}}}"),
        8 => format!("is_{name}_valid=true"),
        9 => format!(
            "max_{}: {number}",
            random.pick(&["tokens", "sessions", "cookies"])
        ),
        10 => format!("Info {{ {name}_len: {number}, has_{name}: false }}"),
        _ => format!("{name}_total{{result=\"ok\"}} {number}"),
    }
}

fn sentence(random: &mut Random) -> String {
    let (thing, verb) = (random.pick(THINGS), random.pick(VERBS));
    let (reason, error, state) = (
        random.pick(REASONS),
        random.pick(ERRORS),
        random.pick(STATES),
    );
    match random.within(0..16) {
        0 => format!("could not {verb} {thing}: {error}"),
        1 => format!("could not {verb} {thing}: {reason}"),
        2 => format!("failed to {verb} the {thing}: {reason}"),
        3 => format!("{thing}: {reason}"),
        4 => format!("{thing}: {state}"),
        5 => format!("invalid {thing}: {reason}"),
        6 => format!("the {thing} is {state}"),
        7 => format!("{thing} {state}, will {verb} again"),
        8 => format!("login failed: {thing}: {error}: {reason}"),
        9 => format!("shop::{}: {reason}", thing.replace(' ', "_")),
        10 => format!("no {thing} for this user"),
        11 => format!("{error}: {thing} {state}"),
        12 => format!("{{\"error\":\"could not {verb} {thing}: {reason}\"}}"),
        13 => format!("Error {{ kind: {error}, message: \"{thing} {state}\" }}"),
        14 => format!("caused by: {thing}: {error}"),
        _ => format!("Cannot {verb} {thing} ({reason})"),
    }
}
