//! Forms of pairs and credentials: the text around a secret, and the characters that the secret can
//! contain.

use super::{ALNUM, HEX, Random, checked};

use Carries::{AllBut, Made, Only};
use Writing::{AsIs, Doubled, Json, Percent, Quoted};

/// How a form writes a character of the secret.
#[derive(Clone, Copy)]
pub(super) enum Writing {
    AsIs,
    /// With JSON escapes, nested this many times.
    Json(u8),
    /// Between single quotes, with a backslash before a quote.
    Quoted,
    /// Between single quotes, with each quote doubled.
    Doubled,
    Percent,
}

/// The characters of a secret.
#[derive(Clone, Copy)]
pub(super) enum Carries {
    /// All printable ASCII characters except these. A space is not first or last.
    AllBut(&'static str),
    /// Only these, from `min` to `max` of them.
    Only(&'static str, u64, u64),
    /// The result of this function.
    Made(fn(&mut Random) -> String),
}

/// A form of a pair or of a credential: the text before the secret, with `{k}` for its key, and the
/// text after the secret.
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) before: &'static str,
    pub(super) after: &'static str,
    pub(super) carries: Carries,
    pub(super) writing: Writing,
}

const fn form(
    name: &'static str,
    before: &'static str,
    after: &'static str,
    carries: Carries,
    writing: Writing,
) -> Form {
    Form {
        name,
        before,
        after,
        carries,
        writing,
    }
}

/// An unquoted value ends at these characters. A backslash would be read as an escape.
const BARE: Carries = AllBut(" \"'`,;&}\\");
const ALL: Carries = AllBut("");
/// Strings without escapes.
const LITERAL: Carries = AllBut("\\");
const QUERY: Carries = AllBut(" \"'`&#<>;\\{}|^");
/// Shells split at these characters.
const SHELL: Carries = AllBut(" \"'`$&;|<>()\\*?[]{}~#!,");

pub(super) const FORMS: &[Form] = &[
    form("k=v", "{k}=", "", BARE, AsIs),
    form("k = v", "{k} = ", "", BARE, AsIs),
    form("k: v", "{k}: ", "", BARE, AsIs),
    form("k:v", "{k}:", "", BARE, AsIs),
    form("k=\"v\"", "{k}=\"", "\"", ALL, Json(1)),
    form("k: \"v\"", "{k}: \"", "\"", ALL, Json(1)),
    form("k => \"v\"", "{k} => \"", "\"", ALL, Json(1)),
    form("k := \"v\"", "{k} := \"", "\"", ALL, Json(1)),
    form("k='v'", "{k}='", "'", ALL, Quoted),
    form("k='v' doubled", "{k}='", "'", LITERAL, Doubled),
    form("k = 'v' doubled", "{k} = '", "'", LITERAL, Doubled),
    form("k[]=v", "{k}[]=", "", BARE, AsIs),
    form("user[k]=v", "user[{k}]=", "", BARE, AsIs),
    form("h[\"k\"] = \"v\"", "h[\"{k}\"] = \"", "\"", ALL, Json(1)),
    form("option", "run --{k}=", " --fast", SHELL, AsIs),
    form(
        "option in quotes",
        "run --{k}='",
        "' --fast",
        LITERAL,
        Doubled,
    ),
    form("env file", "LANG=C\n{k}=", "\nHOME=/root", BARE, AsIs),
    form("export", "export {k}=\"", "\"\n", ALL, Json(1)),
    form("toml", "[a]\n{k} = \"", "\"\nport = 1", ALL, Json(1)),
    form("yaml", "a:\n  {k}: '", "'\n  port: 1", LITERAL, Doubled),
    form("yaml, plain", "a:\n  {k}: ", "\n  port: 1", BARE, AsIs),
    form(
        "json",
        "{\"user\":\"ada\",\"{k}\":\"",
        "\",\"n\":1}",
        ALL,
        Json(1),
    ),
    form(
        "json, spaced",
        "{ \"a\": { \"{k}\" : \"",
        "\" } }",
        ALL,
        Json(1),
    ),
    form(
        "json, list",
        "{\"{k}\":[\"",
        "\",\"x\"],\"n\":1}",
        ALL,
        Json(1),
    ),
    form(
        "json, object",
        "{\"{k}\":{\"a\":\"",
        "\"},\"n\":1}",
        ALL,
        Json(1),
    ),
    form(
        "json in json",
        "{\"body\":\"{\\\"{k}\\\":\\\"",
        "\\\",\\\"n\\\":1}\"}",
        ALL,
        Json(2),
    ),
    form(
        "struct",
        "Login { user: \"ada\", {k}: \"",
        "\", n: 1 }",
        ALL,
        Json(1),
    ),
    form(
        "struct, last",
        "Login { user: \"ada\", {k}: \"",
        "\" }",
        ALL,
        Json(1),
    ),
    form(
        "struct, option",
        "Login { {k}: Some(\"",
        "\"), n: 1 }",
        ALL,
        Json(1),
    ),
    form(
        "struct, type",
        "Login { {k}: Inner { a: \"",
        "\" }, n: 1 }",
        ALL,
        Json(1),
    ),
    form(
        "struct, pretty",
        "Login {\n    {k}: Some(\n        \"",
        "\",\n    ),\n    n: 1,\n}",
        ALL,
        Json(1),
    ),
    form(
        "map",
        "{\"user\": \"ada\", \"{k}\": \"",
        "\"}",
        ALL,
        Json(1),
    ),
    form(
        "map of values",
        "{\"{k}\": String(\"",
        "\"), \"n\": Number(1)}",
        ALL,
        Json(1),
    ),
    form(
        "dict",
        "{'user': 'ada', '{k}': '",
        "', 'n': 1}",
        ALL,
        Quoted,
    ),
    form("go", "&{User:ada {k}:", " Port:1}", BARE, AsIs),
    form(
        "java",
        "Login(user=ada, {k}=",
        ", n=1)",
        AllBut(" \"'`,;&}\\()[]"),
        AsIs,
    ),
    form(
        "ado",
        "Server=db;User ID=sa;{k}=",
        ";Encrypt=True",
        AllBut(";\"'\\"),
        AsIs,
    ),
    form(
        "odbc",
        "Driver={SQL};UID=sa;{k}={",
        "};Encrypt=yes",
        AllBut("{}\"'\\"),
        AsIs,
    ),
    form("libpq", "host=db user=app {k}='", "' port=1", ALL, Quoted),
    form(
        "form",
        "user=sa&{k}=",
        "&x=1",
        AllBut(" &\"'`\\{}()[]<>"),
        AsIs,
    ),
    form("form, option", "a=1&{k}=Some(\"", "\")", ALL, Json(1)),
    form("form, percent", "user=sa&{k}=", "&x=1", ALL, Percent),
    form("query", "https://h.example/p?a=1&{k}=", "&b=2", QUERY, AsIs),
    form(
        "query, percent",
        "GET /p?{k}=",
        "&b=2 HTTP/1.1",
        ALL,
        Percent,
    ),
    form(
        "fragment",
        "https://h.example/cb#{k}=",
        "&b=2",
        ALL,
        Percent,
    ),
    form(
        "url",
        "postgres://shop:",
        "@db.example:5432/shop",
        AllBut(" \\"),
        AsIs,
    ),
    form(
        "url, space",
        "mysql://shop:",
        "@db.example:3306/shop",
        AllBut("@\\"),
        AsIs,
    ),
    form(
        "url, percent",
        "amqps://shop:",
        "@mq.example/%2f",
        ALL,
        Percent,
    ),
    form(
        "url, no user",
        "redis://:",
        "@cache:6379/0",
        AllBut(" \\"),
        AsIs,
    ),
    form(
        "url in quotes",
        "open \"https://ci:",
        "@git.example/x\" failed",
        AllBut(" \"\\"),
        AsIs,
    ),
    form(
        "bearer",
        "Authorization: Bearer ",
        "\r\nHost: x",
        Only("ABCDEFGHJKabcdefghjk0123456789-._~+/", 20, 60),
        AsIs,
    ),
    form(
        "basic",
        "authorization: Basic ",
        "\nHost: x",
        Made(checked::basic),
        AsIs,
    ),
    form(
        "cookie",
        "Cookie: theme=dark; sid=",
        "; lang=de\n",
        Only("ABCDEFGHJKabcdefghjk0123456789-._%!*+/=", 8, 40),
        AsIs,
    ),
    form(
        "set-cookie",
        "Set-Cookie: session=",
        "; Path=/; HttpOnly",
        Only("ABCDEFGHJKabcdefghjk0123456789-._%!*+/=", 8, 40),
        AsIs,
    ),
    form(
        "header",
        "GET / HTTP/1.1\r\nX-Api-Key: ",
        "\r\nHost: x",
        BARE,
        AsIs,
    ),
    form(
        "sql",
        "CREATE USER app IDENTIFIED BY '",
        "' ACCOUNT UNLOCK",
        LITERAL,
        Doubled,
    ),
    form(
        "oracle",
        "jdbc:oracle:thin:app/",
        "@//db:1521/x",
        AllBut(" /@\"'\\"),
        AsIs,
    ),
    form("curl", "curl -u ops:", " https://api.example", SHELL, AsIs),
    form(
        "curl in quotes",
        "curl --user 'ops:",
        "' https://api.example",
        AllBut("'\\"),
        AsIs,
    ),
    form("shell", "PGPASSWORD=", " psql -h db", SHELL, AsIs),
    form(
        "github",
        "pushed with ghp_",
        " again",
        Only(ALNUM, 36, 37),
        AsIs,
    ),
    form("stripe", "key sk_live_", " used", Only(ALNUM, 24, 40), AsIs),
    form(
        "aws",
        "id AKIA",
        " used",
        Only("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16, 17),
        AsIs,
    ),
    form(
        "slack",
        "bot xoxb-",
        " left",
        Only("0123456789abcdefABCDEF", 24, 50),
        AsIs,
    ),
    form(
        "jwt",
        "got eyJhbGciOiJIUzI1NiJ9.",
        ".c2lnbmF0dXJl back",
        Only("ABCDEFGHJKabcdefghjk0123456789-_", 40, 80),
        AsIs,
    ),
    form(
        "mailgun",
        "sent with key-",
        " today",
        Only(HEX, 32, 33),
        AsIs,
    ),
    form(
        "telegram",
        "POST https://api.telegram.org/bot",
        "/getMe",
        Made(checked::bot),
        AsIs,
    ),
    form("card", "paid with ", " today", Made(checked::card), AsIs),
    form(
        "card as a field",
        "{\"n\":1,\"pan\":\"",
        "\"}",
        Made(checked::card),
        AsIs,
    ),
    form("ssn", "number ", " on file", Made(checked::ssn), AsIs),
    form("pii: iban", "pay to ", " today", Made(checked::iban), AsIs),
    form(
        "pii: mail",
        "mail to ",
        " bounced",
        Made(checked::mail),
        AsIs,
    ),
    form(
        "pii: mail in brackets",
        "from=<",
        ">, size=1",
        Made(checked::mail),
        AsIs,
    ),
    form("pii: ipv4", "client ", " left", Made(checked::ipv4), AsIs),
    form(
        "pii: ipv4 with port",
        "peer=",
        ":51234",
        Made(checked::ipv4),
        AsIs,
    ),
    form("pii: ipv6", "peer [", "]:443", Made(checked::ipv6), AsIs),
    form(
        "pii: phone",
        "{\"phone_number\":\"",
        "\"}",
        Made(checked::phone),
        AsIs,
    ),
    form("pii: mobile", "mobile=\"", "\"", Made(checked::phone), AsIs),
];
