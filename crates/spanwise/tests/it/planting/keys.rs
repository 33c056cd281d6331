//! The keys that are secret by default, and the places for a value with such a key.

use std::{
    collections::{BTreeMap, HashMap},
    error::Error,
    fmt,
    sync::{Mutex, OnceLock},
};

use serde_json::{Map, json as value};
use spanwise::as_json;
use tracing::{Event, Metadata, Span, callsite::Identifier, field::Value, info};
use tracing_core::{Callsite, Interest, Kind, Level, field::FieldSet};

/// Last words of keys, some without a separator, and words that hide a key at any position.
pub const SECRET_NAMES: &str = "auth sid otp pin cvv cvc cvv2 ssn sso jwt csrf xsrf salt pwd session cookie setcookie token \
    phpsessid connectsid mysqlpwd dsn";
pub const SECRET_PARTS: &str = "passw passphrase secret apikey privatekey accesskey signingkey encryptionkey credential \
    authorization accesstoken refreshtoken idtoken bearertoken authtoken sessionid sessiontoken csrftoken xsrftoken creditcard \
    cardnumber socialsecurity clientassertion mnemonic connectionstring";
pub const SECRET_ENDS: &str = "token";
pub const PII_NAMES: &str = "email phone ip clientip remoteaddr xforwardedfor xrealip forwarded dob birthdate firstname \
    lastname fullname address postcode zip passport iban";

/// Spellings that people use.
pub const SECRET_SPELLINGS: &str = "X-Api-Key xApiKey user.x_api_key API_KEY Set-Cookie connect.sid PHPSESSID mysql_pwd \
    aws_secret_access_key client_secret clientSecret db.password passwordHash Proxy-Authorization \
    http.request.header.authorization http.response.header.set-cookie access-token refreshToken csrf_token private_key \
    card_number creditCard socialSecurityNumber client_assertion connectionString CVV2 user.auth http.cookie \
    client.pin source.sid server.auth \
    pass pw passcode totp sessid cookies master_key hmac_key subscription-key sentry_key \
    AccountKey pin_code otp_code mfa_code cvv_code recovery_codes session_key auth_header proxy_auth seed_phrase card_no db_pass \
    SMTP_PASS";
pub const PII_SPELLINGS: &str = "user.email client_ip clientIp X-Forwarded-For x-real-ip first_name fullName billing.address Remote-Addr birth_date \
    phone_number mobile email_address given_name date_of_birth home_address postal_code \
    passport_number bank_account client.phone";

/// A key, and the value that must be hidden.
#[derive(Debug, Clone)]
pub struct Keyed {
    pub key: &'static str,
    /// A unique word, and a unique text that needs quotes.
    pub word: String,
    pub text: String,
    pub number: u64,
}

/// A place, and how the value is logged there by the event of that number.
pub type KeyPlace = (&'static str, fn(u64, &Keyed));

/// The key is the name of a field.
pub const FIELDS: &[KeyPlace] = &[
    ("a field, as str", |n, it| event(n, it.key, &it.text)),
    ("a field, as Option", |n, it| {
        event(n, it.key, &Some(&*it.text));
    }),
    ("a field, by Display", |n, it| {
        event(n, it.key, &tracing::field::display(&it.text));
    }),
    ("a field, by Debug", |n, it| {
        event(n, it.key, &tracing::field::debug(&it.text));
    }),
    ("a list in a field", |n, it| {
        event(n, it.key, &tracing::field::debug([&it.text, &it.word]));
    }),
    ("a field, as u64", |n, it| event(n, it.key, &it.number)),
    ("a field, as i64", |n, it| {
        event(n, it.key, &-it.number.cast_signed());
    }),
    ("a field, as u128", |n, it| {
        event(n, it.key, &u128::from(it.number));
    }),
    ("a field, as f64", |n, it| {
        event(n, it.key, &(it.number as f64));
    }),
    ("a field, as bytes", |n, it| {
        event(n, it.key, &it.text.as_bytes());
    }),
    ("a field, as an error", |n, it| {
        event(
            n,
            it.key,
            &(&Wrong(it.text.clone()) as &(dyn Error + 'static)),
        );
    }),
    ("a field, as nested JSON", |n, it| {
        event(
            n,
            it.key,
            &tracing::field::display(as_json(&value!([it.text, it.number]))),
        );
    }),
    ("a field of a span, as str", |n, it| {
        span(it.key, Some(&it.text)).in_scope(|| info!(planting = n));
    }),
    ("a field of a span, by Debug", |n, it| {
        span(it.key, Some(&tracing::field::debug(&it.text))).in_scope(|| info!(planting = n));
    }),
    ("a field of a span, as u64", |n, it| {
        span(it.key, Some(&it.number)).in_scope(|| info!(planting = n));
    }),
    ("a field recorded late, as str", |n, it| {
        let span = span(it.key, None).entered();
        span.record(it.key, &*it.text);
        info!(planting = n);
    }),
    ("a field recorded late, as u64", |n, it| {
        let span = span(it.key, None).entered();
        span.record(it.key, it.number);
        info!(planting = n);
    }),
];

/// The key is in a text, or in a value that is formatted.
pub const TEXTS: &[KeyPlace] = &[
    ("key=value in the message", |planting, it| {
        info!(planting, "login user=ann {}={} n=1", it.key, it.word);
    }),
    ("key = 'value' in a field", |planting, it| {
        info!(
            planting,
            line = format!("user=ann {} = '{}' n=1", it.key, plain(&it.text))
        );
    }),
    ("key: value in a field", |planting, it| {
        info!(
            planting,
            line = format!("user: ann, {}: {}, n: 1", it.key, it.word)
        );
    }),
    ("nested JSON", |planting, it| {
        info!(planting, body = %as_json(&value!({"a": [{"b": {"n": 1, it.key: it.text}}]})));
    }),
    ("a number in nested JSON", |planting, it| {
        info!(planting, body = %as_json(&value!({"a": {it.key: it.number, "n": 1}})));
    }),
    ("a list in nested JSON", |planting, it| {
        info!(planting, body = %as_json(&value!({it.key: [it.text, {"n": it.text}]})));
    }),
    ("JSON in a field", |planting, it| {
        info!(
            planting,
            body = value!({"n": 1, it.key: it.text, "m": 2}).to_string()
        );
    }),
    ("JSON with spaces in a field", |planting, it| {
        let object = Map::from_iter([(it.key.to_owned(), it.text.clone().into())]);
        info!(
            planting,
            body = serde_json::to_string_pretty(&object).expect("an object")
        );
    }),
    ("JSON in JSON in a field", |planting, it| {
        let inner = value!({it.key: it.text, "n": 1}).to_string();
        info!(planting, body = value!({"inner": inner}).to_string());
    }),
    ("JSON in JSON in nested JSON", |planting, it| {
        let inner = value!({"n": 1, it.key: it.text}).to_string();
        let outer = value!({"inner": inner}).to_string();
        info!(planting, body = %as_json(&value!({"outer": outer})));
    }),
    ("JSON in JSON, by Debug", |planting, it| {
        let inner = value!({it.key: it.text, "n": 1}).to_string();
        info!(planting, body = ?value!({"inner": inner}).to_string());
    }),
    ("the field of a struct, by Debug", |planting, it| {
        info!(planting, login = ?Login(it));
    }),
    (
        "the field of a struct, in the message, on several lines",
        |planting, it| {
            info!(planting, "{:#?}", Login(it));
        },
    ),
    ("a map of headers, by Debug", |planting, it| {
        info!(planting, headers = ?BTreeMap::from([("host", "shop"), (it.key, &*it.text)]));
    }),
    ("a map of lists, by Debug", |planting, it| {
        info!(planting, headers = ?HashMap::from([(it.key, vec![&*it.text, &*it.word])]));
    }),
    ("lines of headers", |planting, it| {
        info!(
            planting,
            headers = format!("host: shop\r\n{}: {}\r\naccept: */*\r\n", it.key, it.word)
        );
    }),
    ("a parameter of a URL", |planting, it| {
        info!(
            planting,
            from = format!("https://shop.example.org/a?n=1&{}={}&m=2", it.key, it.word)
        );
    }),
    ("a form", |planting, it| {
        info!(planting, body = format!("user=ann&{}={}", it.key, it.word));
    }),
    ("bytes of JSON", |planting, it| {
        info!(
            planting,
            body = value!({it.key: it.text}).to_string().as_bytes()
        );
    }),
    ("an error", |planting, it| {
        let error = Wrong(format!("cannot log in with {}={}", it.key, it.word));
        info!(planting, error = &error as &dyn Error);
    }),
];

/// Removes quotes, because quotes inside quotes of the same kind would end the text.
fn plain(text: &str) -> String {
    text.replace(['\'', '\\'], "")
}

/// Formats like a derived `Debug`.
struct Login<'k>(&'k Keyed);

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let maybe = Some((&self.0.text, [&self.0.word]));
        f.debug_struct("Login")
            .field("user", &"ann")
            .field(self.0.key, &self.0.text)
            .field("n", &1)
            .field(self.0.key, &maybe)
            .field("m", &2)
            .finish()
    }
}

#[derive(Debug)]
struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Wrong {}

/// Logs an event with a field of this name, as a macro does. It needs a callsite, because field
/// names are part of a callsite.
fn event(planting: u64, key: &'static str, value: &dyn Value) {
    let callsite = callsite(Kind::EVENT, key);
    let wanted = tracing::dispatcher::get_default(|dispatch| dispatch.enabled(callsite));
    if wanted {
        let values: [Option<&dyn Value>; 2] = [Some(&planting), Some(value)];
        Event::dispatch(callsite, &callsite.fields().value_set_all(&values));
    }
}

fn span(key: &'static str, value: Option<&dyn Value>) -> Span {
    let callsite = callsite(Kind::SPAN, key);
    let wanted = tracing::dispatcher::get_default(|dispatch| dispatch.enabled(callsite));
    assert!(wanted, "spans are on");
    Span::new(callsite, &callsite.fields().value_set_all(&[None, value]))
}

struct Site(OnceLock<Metadata<'static>>);

impl Callsite for Site {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        self.0.get().expect("set before it is registered")
    }
}

/// Returns the callsite with this key. Like the callsite of a macro, it is never freed.
fn callsite(kind: Kind, key: &'static str) -> &'static Metadata<'static> {
    static KNOWN: Mutex<BTreeMap<(bool, &str), &'static Metadata<'static>>> =
        Mutex::new(BTreeMap::new());
    let is_event = kind == Kind::EVENT;
    if let Some(known) = KNOWN.lock().expect("it is whole").get(&(is_event, key)) {
        return known;
    }
    let site: &'static Site = Box::leak(Box::new(Site(OnceLock::new())));
    let names: &'static [&'static str] = Box::leak(Box::new(["planting", key]));
    let metadata = site.0.get_or_init(|| {
        let fields = FieldSet::new(names, Identifier(site));
        let name = if is_event { "event" } else { "span" };
        Metadata::new(
            name,
            "planting",
            Level::INFO,
            None,
            None,
            None,
            fields,
            kind,
        )
    });
    tracing_core::callsite::register(site);
    KNOWN
        .lock()
        .expect("it is whole")
        .insert((is_event, key), metadata);
    metadata
}
